use std::time::Duration;

use crate::model::Trace;

/// The limits of one aggregate type, with the units in the names.
///
/// ```
/// # use simple_sourcing::{App, Aggregate};
/// # fn example<Account: Aggregate>() -> App {
/// App::new("bank").aggregate_with::<Account>(|options| options.settings(|settings| settings.state_bytes_max = 64 * 1024))
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The longest key, as text. Default 1 KiB.
    pub key_bytes_max: usize,
    /// The longest command, encoded. Default 512 KiB. By default, Kafka's brokers take records of up to 1 MiB.
    pub command_bytes_max: usize,
    /// The longest event, and the longest error of a rejection, encoded. Default 512 KiB.
    pub event_bytes_max: usize,
    /// The longest state, encoded. Default 512 KiB.
    pub state_bytes_max: usize,
    /// The longest trace: correlation id, causation id and `traceparent` together. Each event of a command carries them in
    /// addition to its payload. Default 8 KiB.
    pub trace_bytes_max: usize,
    /// The most events that one command may emit. Default 1,000.
    pub events_per_command_max: usize,
    /// The most bytes of all events that one command may emit, encoded: they are written in one transaction, which must end
    /// in time. Default 16 MiB.
    pub events_bytes_per_command_max: usize,
    /// How long a command id is remembered. A command that is sent again within this time gets its first outcome; one with
    /// an older id is [`Expired`](crate::CommandError::Expired). Default 1 day.
    pub deduplication_window: Duration,
    /// The most command ids that one partition holds in memory, if ids are kept in memory. With more, the window gets
    /// shorter. Default 1,000,000 (about 100 bytes each).
    pub deduplication_ids_max: usize,
    /// How far ahead a client's clock may be. A command id from further in the future is refused, because it would have to
    /// be remembered for longer than the window. Default 1 hour.
    pub clock_ahead_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            key_bytes_max: 1024,
            command_bytes_max: 512 * 1024,
            event_bytes_max: 512 * 1024,
            state_bytes_max: 512 * 1024,
            trace_bytes_max: 8 * 1024,
            events_per_command_max: 1_000,
            events_bytes_per_command_max: 16 * 1024 * 1024,
            deduplication_window: Duration::from_secs(24 * 60 * 60),
            deduplication_ids_max: 1_000_000,
            clock_ahead_max: Duration::from_secs(60 * 60),
        }
    }
}

impl Settings {
    /// Checks the lengths of a command. The error is for its client.
    pub(crate) fn check_lengths(&self, key: &str, payload: &[u8]) -> Result<(), String> {
        let (bytes, max) = (key.len(), self.key_bytes_max);
        if bytes > max {
            return Err(format!("its key has {bytes} bytes, over the limit of {max} (`key_bytes_max`)"));
        }
        let (bytes, max) = (payload.len(), self.command_bytes_max);
        if bytes > max {
            return Err(format!("it has {bytes} bytes, over the limit of {max} (`command_bytes_max`)"));
        }
        Ok(())
    }

    /// Checks the length of a command's trace. The error is for its client.
    pub(crate) fn check_trace(&self, trace: Option<&Trace>) -> Result<(), String> {
        let (bytes, max) = (trace.map_or(0, Trace::bytes), self.trace_bytes_max);
        if bytes > max {
            return Err(format!(
                "its correlation id, causation id and traceparent have {bytes} bytes in total, over the limit of {max} \
                 (`trace_bytes_max`)"
            ));
        }
        Ok(())
    }
}
