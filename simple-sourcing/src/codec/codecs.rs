use std::{fmt::Debug, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{ContentType, Encoding, Format, Payload, Role, SCHEMA_VERSION, Subject, content, json, read_back::compare};

/// What writes and reads payloads.
#[derive(Debug, Clone, Default)]
pub enum Codec {
    /// What serde makes of a value as JSON.
    #[default]
    Json,
    /// Another format.
    Other(Arc<dyn Format>),
}

impl Codec {
    /// A format of your own.
    pub fn new(format: impl Format) -> Self {
        Codec::Other(Arc::new(format))
    }

    fn content_type(&self) -> ContentType {
        match self {
            Codec::Json => ContentType::Json,
            Codec::Other(format) => format.content_type().into(),
        }
    }

    fn decode<T: DeserializeOwned>(&self, subject: &Subject<'_>, bytes: &[u8]) -> Result<T, String> {
        let format = match self {
            Codec::Json => return json::decode(bytes),
            Codec::Other(format) => format,
        };
        let mut value = None;
        format.decode(subject, bytes, &mut |deserializer| {
            value = Some(erased_serde::deserialize(deserializer)?);
            Ok(())
        })?;
        value.ok_or_else(|| format!("the codec of `{}` has read nothing", format.content_type()))
    }
}

/// The codecs of one aggregate type in one app: the one that it writes with, and those that it reads.
#[derive(Debug, Clone)]
pub struct Codecs {
    aggregate: &'static str,
    writer: Codec,
    encoding: Encoding,
    /// Beside JSON, which everybody reads.
    others: Vec<Codec>,
}

impl Codecs {
    /// JSON, for an aggregate type of this wire name.
    pub fn new(aggregate: &'static str) -> Self {
        Codecs { aggregate, writer: Codec::Json, encoding: Encoding::default(), others: Vec::new() }
    }

    /// Writes with this codec from now on, and reads it.
    pub fn write(&mut self, codec: Codec) {
        self.encoding = Encoding { content_type: codec.content_type(), schema_version: SCHEMA_VERSION };
        self.read(codec.clone());
        self.writer = codec;
    }

    /// Reads what others have written with this codec.
    pub fn read(&mut self, codec: Codec) {
        if matches!(codec, Codec::Other(_)) {
            self.others.retain(|other| other.content_type() != codec.content_type());
            self.others.push(codec);
        }
    }

    /// Writes a value. Equal values have equal bytes.
    ///
    /// # Errors
    /// When the value has no form in the codec, such as a map whose keys are not text in JSON.
    pub fn encode<T: Serialize>(&self, role: Role, value: &T) -> Result<Payload, String> {
        let bytes = match &self.writer {
            Codec::Json => json::encode(value)?,
            Codec::Other(format) => {
                let mut buffer = Vec::new();
                format.encode(
                    &self.subject(role),
                    &content::ordered(value, format.is_human_readable())?,
                    &mut buffer,
                )?;
                buffer.into()
            }
        };
        Ok(Payload { encoding: self.encoding.clone(), bytes })
    }

    /// Reads a value, by the codec that wrote it.
    ///
    /// # Errors
    /// When the bytes can't be read, or the codec is not known here; the message says which.
    pub fn decode<T: DeserializeOwned>(&self, role: Role, payload: &Payload) -> Result<T, String> {
        let Payload { encoding, bytes } = payload;
        if encoding.schema_version != SCHEMA_VERSION {
            return Err(format!("it is {encoding}, which a later version of this app has written; upgrade this one"));
        }
        match &encoding.content_type {
            ContentType::Json => json::decode(bytes),
            other => self.other(other)?.decode(&self.subject(role), bytes),
        }
    }

    /// Whether a value of a type that is exact in JSON ([`Event::EXACT`](crate::Event::EXACT)) need not be read back, because
    /// JSON is what is written.
    #[inline]
    pub fn is_exact(&self, in_json: bool) -> bool {
        in_json && matches!(self.writer, Codec::Json)
    }

    /// Reads a value back from its bytes.
    ///
    /// # Errors
    /// When the bytes can't be read, or are read as another value; the message shows where they differ.
    pub fn read_back<T>(&self, role: Role, value: &T, payload: &Payload) -> Result<T, String>
    where
        T: DeserializeOwned + PartialEq + Debug,
    {
        compare(value, self.decode(role, payload).map_err(|reason| format!("can't be read back: {reason}"))?)
    }

    fn other(&self, content_type: &ContentType) -> Result<&Codec, String> {
        self.others.iter().find(|codec| codec.content_type() == *content_type).ok_or_else(|| {
            let aggregate = self.aggregate;
            format!(
                "it is `{content_type}`, which this app does not read; name the codec where `{aggregate}` is added to the                  `App`: `options.also_reads(...)`"
            )
        })
    }

    fn subject(&self, role: Role) -> Subject<'static> {
        Subject { aggregate: self.aggregate, role }
    }
}
