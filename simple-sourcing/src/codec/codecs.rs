use std::{fmt::Debug, sync::Arc};

use serde::{
    Serialize,
    de::{DeserializeOwned, Error as _},
};

use super::{
    Encoding, Format, Payload, Role, SCHEMA_VERSION, Subject, content, json, located::located, read_back::compare,
};

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

    fn encoding(&self) -> Encoding {
        match self {
            Codec::Json => Encoding::default(),
            Codec::Other(format) => Encoding::new(format.content_type(), SCHEMA_VERSION),
        }
    }

    fn decode<T: DeserializeOwned>(&self, subject: &Subject<'_>, bytes: &[u8]) -> Result<T, String> {
        let format = match self {
            Codec::Json => return json::decode(bytes),
            Codec::Other(format) => format,
        };
        let mut value = None;
        let read = format.decode(subject, bytes, &mut |deserializer| {
            value = Some(erased_serde::deserialize(deserializer)?);
            Ok(())
        });
        read.map_err(|error| {
            // As in JSON, the bytes are read once more, to find the field.
            let mut found = None;
            let again = format.decode(subject, bytes, &mut |deserializer| {
                let error = serde_path_to_error::deserialize::<_, T>(deserializer).err();
                found = error.map(located);
                found.as_ref().map_or(Ok(()), |_| Err(erased_serde::Error::custom("it is known already")))
            });
            again.err().and(found).unwrap_or(error)
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
        self.encoding = codec.encoding();
        self.read(codec.clone());
        self.writer = codec;
    }

    /// What is wrong with the media types of the codecs: they stand beside each payload.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_token = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        for codec in [&self.writer].into_iter().chain(&self.others) {
            let Codec::Other(format) = codec else { continue };
            let name = format.content_type();
            let is_media_type =
                name.len() <= 127 && name.split_once('/').is_some_and(|(of, sub)| is_token(of) && is_token(sub));
            if !is_media_type || codec.encoding().is_json() {
                return Err(format!(
                    "a codec of aggregate `{}` has the content type {name:?}, which must be a media type of its own, such as \
                     `application/vnd.example`, of at most 127 characters",
                    self.aggregate
                ));
            }
        }
        Ok(())
    }

    /// Reads what others have written with this codec.
    pub fn read(&mut self, codec: Codec) {
        if matches!(codec, Codec::Other(_)) {
            self.others.retain(|other| other.encoding() != codec.encoding());
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
        if encoding.schema_version() != SCHEMA_VERSION {
            return Err(format!("it is {encoding}, which a later version of this app has written; upgrade this one"));
        }
        if encoding.is_json() {
            return json::decode(bytes);
        }
        self.other(encoding)?.decode(&self.subject(role), bytes)
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

    fn other(&self, encoding: &Encoding) -> Result<&Codec, String> {
        self.others.iter().find(|codec| codec.encoding() == *encoding).ok_or_else(|| {
            let aggregate = self.aggregate;
            format!(
                "it is {encoding}, which this app does not read; name the codec where `{aggregate}` is added to the `App`: \
                 `options.also_reads(...)`"
            )
        })
    }

    fn subject(&self, role: Role) -> Subject<'static> {
        Subject { aggregate: self.aggregate, role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A format that is only asked for its name.
    #[derive(Debug)]
    struct Named(String);

    impl Format for Named {
        fn content_type(&self) -> &str {
            &self.0
        }

        fn encode(&self, _: &Subject<'_>, _: &dyn erased_serde::Serialize, _: &mut Vec<u8>) -> Result<(), String> {
            Err("it only has a name".to_owned())
        }

        fn decode(
            &self,
            _: &Subject<'_>,
            _: &[u8],
            _: &mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>,
        ) -> Result<(), String> {
            Ok(())
        }
    }

    #[test]
    fn a_codec_has_a_media_type_of_its_own() {
        let check = |name: &str| {
            let mut codecs = Codecs::new("account");
            codecs.write(Codec::new(Named(name.to_owned())));
            codecs.check()
        };
        assert_eq!(check("application/vnd.bank+cbor"), Ok(()));
        let long = format!("application/{}", "x".repeat(127));
        for name in ["", "cbor", "a\r\nb/c", "application/json", "Application/JSON; v=2", "application/", &long] {
            assert!(check(name).is_err_and(|error| error.contains(&format!("{name:?}"))), "{name}");
        }
    }

    /// JSON under another name.
    #[derive(Debug)]
    struct Again;

    impl Format for Again {
        fn content_type(&self) -> &str {
            "application/vnd.again"
        }

        fn encode(
            &self,
            _: &Subject<'_>,
            value: &dyn erased_serde::Serialize,
            buffer: &mut Vec<u8>,
        ) -> Result<(), String> {
            serde_json::to_writer(buffer, value).map_err(|error| error.to_string())
        }

        fn decode(
            &self,
            _: &Subject<'_>,
            bytes: &[u8],
            read: &mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>,
        ) -> Result<(), String> {
            let mut json = serde_json::Deserializer::from_slice(bytes);
            read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json)).map_err(|error| error.to_string())
        }
    }

    #[test]
    fn an_error_names_the_field_whatever_the_codec() {
        #[derive(Debug, serde::Deserialize)]
        struct Order {
            #[expect(dead_code, reason = "it is only read")]
            items: Vec<u8>,
        }
        let mut codecs = Codecs::new("order");
        codecs.write(Codec::new(Again));
        let payload = |json: &'static str| Payload { encoding: codecs.encoding.clone(), bytes: json.into() };
        assert!(codecs.decode::<Order>(Role::Events, &payload(r#"{"items":[1,2]}"#)).is_ok());
        let error = codecs.decode::<Order>(Role::Events, &payload(r#"{"items":[1,300]}"#)).expect_err("300 is no u8");
        assert!(error.starts_with("`items[1]`: invalid value: integer `300`"), "{error}");
        let error = codecs.decode::<Order>(Role::Events, &payload("{")).expect_err("it ends too early");
        assert!(error.contains("EOF"), "{error}");
    }

    #[test]
    fn a_codec_that_reads_nothing_is_an_error() {
        let mut codecs = Codecs::new("account");
        codecs.read(Codec::new(Named("application/vnd.nothing".to_owned())));
        let payload = Payload { encoding: Encoding::new("application/vnd.nothing", 1), bytes: "x".into() };
        let read = codecs.decode::<u8>(Role::Events, &payload);
        assert_eq!(read, Err("the codec of `application/vnd.nothing` has read nothing".to_owned()));
        let newer = Payload { encoding: Encoding::new("application/json", 2), bytes: "1".into() };
        assert!(codecs.decode::<u8>(Role::Events, &newer).is_err_and(|error| error.contains("version 2")));
    }
}
