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

/// How a payload is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// By which codec.
    pub content_type: ContentType,
    /// Which version the schema had.
    pub schema_version: u16,
}

impl Default for Encoding {
    fn default() -> Self {
        Encoding { content_type: ContentType::Json, schema_version: SCHEMA_VERSION }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Encoding { content_type, schema_version } = self;
        if *schema_version == SCHEMA_VERSION {
            write!(f, "`{content_type}`")
        } else {
            write!(f, "`{content_type}` with a schema of version {schema_version}")
        }
    }
}

/// The media type of a payload, which names the codec that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentType {
    /// `application/json`
    Json,
    /// Any other.
    Other(Arc<str>),
}

impl ContentType {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        match self {
            ContentType::Json => JSON,
            ContentType::Other(name) => name,
        }
    }
}

impl From<&str> for ContentType {
    fn from(name: &str) -> Self {
        // A charset or the like may stand behind it.
        let media_type = name.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case(JSON) { ContentType::Json } else { ContentType::Other(name.into()) }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
