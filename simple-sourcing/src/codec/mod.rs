//! How commands, events and states are written, and the one place that reads them.
//!
//! A [`Payload`] says how its bytes were written, by its [`Encoding`]. Each app chooses the [`Codec`] that it writes with; JSON
//! is the default. Readers go by the payload, so one topic may hold payloads of several codecs while the apps that write it
//! are moved one by one. Refusals, which the engine writes itself, are always JSON.

mod codecs;
mod content;
mod fingerprint;
mod format;
pub mod json;
mod located;
mod ordered;
mod payload;
mod read_back;

pub use codecs::{Codec, Codecs};
pub use fingerprint::{Fingerprint, NoFingerprint};
pub use format::{Format, Role, Subject};
pub use payload::{Encoding, Payload, SCHEMA_VERSION};
