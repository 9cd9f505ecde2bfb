use serde::{Deserialize, Serialize};

/// What ties a command to other work: set by the client, carried by the command and all its events.
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
    /// How long its texts are together.
    pub fn bytes(&self) -> usize {
        let texts = [&self.correlation_id, &self.causation_id, &self.traceparent];
        texts.into_iter().flatten().map(String::len).sum()
    }
}
