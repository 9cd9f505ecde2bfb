use serde::{Deserialize, Serialize};

/// Links a command to other work. Set by the client, and carried by the command and all its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The business transaction that the command belongs to.
    pub correlation_id: Option<String>,
    /// What caused the command: the id of an event or of another command.
    pub causation_id: Option<String>,
    /// The W3C trace context.
    pub traceparent: Option<String>,
}

impl Trace {
    /// The total length of its texts.
    pub fn bytes(&self) -> usize {
        let texts = [&self.correlation_id, &self.causation_id, &self.traceparent];
        texts.into_iter().flatten().map(String::len).sum()
    }
}
