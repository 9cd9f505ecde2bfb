use std::fmt;

use erased_serde::{Deserializer, Serialize};

/// A way to write values that is not JSON, for a [`Codec`](super::Codec) of your own.
///
/// A value is written by serde and read by it again, so any format of serde's can be one. Equal values must have equal bytes: a
/// command that is sent again is known by them. The entries of maps come in the order of their keys already. What is written is
/// read back before it is accepted, so a format that loses something is noticed at the first value that it loses.
///
/// ```
/// use simple_sourcing::codec::{Format, Subject};
///
/// #[derive(Debug)]
/// struct PrettyJson;
///
/// impl Format for PrettyJson {
///     fn content_type(&self) -> &str {
///         "application/vnd.pretty+json"
///     }
///
///     fn is_human_readable(&self) -> bool {
///         true
///     }
///
///     fn encode(
///         &self,
///         _: &Subject<'_>,
///         value: &dyn erased_serde::Serialize,
///         buffer: &mut Vec<u8>,
///     ) -> Result<(), String> {
///         serde_json::to_writer_pretty(buffer, value).map_err(|error| error.to_string())
///     }
///
///     fn decode(
///         &self,
///         _: &Subject<'_>,
///         bytes: &[u8],
///         read: &mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>,
///     ) -> Result<(), String> {
///         let mut deserializer = serde_json::Deserializer::from_slice(bytes);
///         read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut deserializer)).map_err(|error| error.to_string())
///     }
/// }
/// ```
pub trait Format: fmt::Debug + Send + Sync + 'static {
    /// The media type by which readers know what was written so. It never changes.
    fn content_type(&self) -> &str;

    /// Whether values that have two forms, such as a UUID, are written as text. As the serializer and the deserializer of
    /// the format have it.
    fn is_human_readable(&self) -> bool {
        false
    }

    /// Writes a value behind what is in the buffer.
    ///
    /// # Errors
    /// When the value has no such form.
    fn encode(&self, subject: &Subject<'_>, value: &dyn Serialize, buffer: &mut Vec<u8>) -> Result<(), String>;

    /// Hands a deserializer of these bytes to `read`, once.
    ///
    /// # Errors
    /// When the bytes can't be read, or `read` fails.
    fn decode(
        &self,
        subject: &Subject<'_>,
        bytes: &[u8],
        read: &mut dyn FnMut(&mut dyn Deserializer<'_>) -> Result<(), erased_serde::Error>,
    ) -> Result<(), String>;
}

/// What is written or read, for formats that have a schema for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// The wire name of the aggregate type, e.g. `account`.
    pub aggregate: &'a str,
    /// What of the aggregate.
    pub role: Role,
}

/// What of an aggregate is written or read.
// In the plural: a variant that is called like one of our traits makes the compiler show these with their whole paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// One of its commands.
    Commands,
    /// One of its events.
    Events,
    /// One of its states.
    States,
}
