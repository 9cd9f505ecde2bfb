use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The media type of JSON.
const JSON: &str = "application/json";

/// The version of a schema that nobody has given another one.
pub const SCHEMA_VERSION: u16 = 1;

/// A command, an event or a state, encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// How it is written.
    pub encoding: Encoding,
    /// What is written.
    pub bytes: Bytes,
}

impl Payload {
    /// JSON, with a schema of version 1.
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Payload { encoding: Encoding::default(), bytes: bytes.into() }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// How a payload is written: by which codec, and with which version of its schema.
///
/// Nearly all are JSON with version 1, the default, which takes no more than a word.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Encoding(Option<Arc<Named>>);

/// An encoding that is not the default.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    content_type: Box<str>,
    schema_version: u16,
}

impl Encoding {
    /// The encoding with this media type and this version of the schema.
    pub fn new(content_type: &str, schema_version: u16) -> Self {
        // A charset or the like may stand behind it.
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let content_type = if media_type.eq_ignore_ascii_case(JSON) { JSON } else { content_type };
        if content_type == JSON && schema_version == SCHEMA_VERSION {
            return Encoding::default();
        }
        Encoding(Some(Arc::new(Named { content_type: content_type.into(), schema_version })))
    }

    /// The media type, which names the codec: `application/json` for JSON.
    pub fn content_type(&self) -> &str {
        self.0.as_ref().map_or(JSON, |named| &named.content_type)
    }

    /// Whether the codec is JSON.
    #[inline]
    pub fn is_json(&self) -> bool {
        self.0.is_none() || self.content_type() == JSON
    }

    /// The version of the schema; 1 unless somebody has given it another one.
    #[inline]
    pub fn schema_version(&self) -> u16 {
        self.0.as_ref().map_or(SCHEMA_VERSION, |named| named.schema_version)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (content_type, version) = (self.content_type(), self.schema_version());
        if version == SCHEMA_VERSION {
            write!(f, "`{content_type}`")
        } else {
            write!(f, "`{content_type}` with a schema of version {version}")
        }
    }
}

/// The form of an encoding in a store.
#[derive(Serialize, Deserialize)]
struct Stored {
    content_type: StoredType,
    schema_version: u16,
}

#[derive(Serialize, Deserialize)]
enum StoredType {
    Json,
    Other(Box<str>),
}

impl From<Encoding> for Stored {
    fn from(encoding: Encoding) -> Self {
        let content_type =
            if encoding.is_json() { StoredType::Json } else { StoredType::Other(encoding.content_type().into()) };
        Stored { content_type, schema_version: encoding.schema_version() }
    }
}

impl From<Stored> for Encoding {
    fn from(Stored { content_type, schema_version }: Stored) -> Self {
        match content_type {
            StoredType::Json => Encoding::new(JSON, schema_version),
            StoredType::Other(name) => Encoding::new(&name, schema_version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_however_it_is_written() {
        for text in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
            assert_eq!(Encoding::new(text, 1), Encoding::default(), "{text}");
        }
        let newer = Encoding::new(JSON, 2);
        assert!(newer.is_json() && newer != Encoding::default());
        let other = Encoding::new("application/cbor", 1);
        assert!(!other.is_json());
        assert_eq!((other.content_type(), other.schema_version()), ("application/cbor", 1));
    }
}
