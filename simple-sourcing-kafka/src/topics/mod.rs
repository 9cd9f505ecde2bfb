//! The topics of an aggregate type: their names, what they must be, and what it means if they are not.
//!
//! | file | what it knows |
//! |---|---|
//! | `properties.rs` | the properties of new topics |
//! | `requirements.rs` | what a topic must be, compared with what it is |
//! | `ends.rs` | how far topics were seen to go |

mod ends;
mod properties;
mod requirements;

use simple_sourcing::BackendError;

use crate::{access::Role, naming::Topic};

pub(crate) use ends::Ends;
pub(crate) use properties::properties;
pub(crate) use requirements::{Found, Requirements, reset_advice};

/// The most bytes in one batch of records, if the topics allow it.
const BATCH_BYTES_MAX: usize = 1_000_000;

/// The names of the topics of one aggregate type, and how many partitions each has.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    /// What this process does with them.
    pub(crate) role: Role,
    pub(crate) command: String,
    pub(crate) event: String,
    pub(crate) state: String,
    pub(crate) response: String,
    pub(crate) answer: String,
    pub(crate) dead_letter: String,
    pub(crate) owner: String,
    /// The longest batch of records that all topics but the dead letters accept.
    pub(crate) batch_bytes_max: usize,
    /// The longest record that the dead letters accept. Unused if nothing is served.
    pub(crate) dead_letter_bytes_max: usize,
    pub(crate) partitions: u32,
    /// How to start from nothing, for errors.
    pub(crate) reset_advice: String,
}

impl Topics {
    pub(crate) fn name(&self, topic: Topic) -> &str {
        match topic {
            Topic::Command => &self.command,
            Topic::Event => &self.event,
            Topic::State => &self.state,
            Topic::Response => &self.response,
            Topic::Answer => &self.answer,
            Topic::DeadLetter => &self.dead_letter,
            Topic::Owner => &self.owner,
        }
    }

    /// The error if a topic that is kept for ever does not begin at 0.
    pub(crate) fn truncated(&self, topic: Topic, partition: u32, first: i64) -> BackendError {
        let why = format!("partition {partition} begins at {first}, and the records before that are gone");
        self.recreated(topic, &why)
    }

    /// The error if a topic no longer fits the others.
    pub(crate) fn recreated(&self, topic: Topic, why: &str) -> BackendError {
        BackendError::failed(format!(
            "topic `{}` was deleted and recreated, or has lost records: {why}; {}",
            self.name(topic),
            requirements::lost(topic, &self.reset_advice)
        ))
    }
}

/// How many bytes a producer for these topics puts into one batch of records. The limit of a topic applies to whole
/// batches, not only to single records.
pub(crate) fn batch_bytes(topics: &[Topics]) -> usize {
    topics.iter().fold(BATCH_BYTES_MAX, |bytes, topics| bytes.min(topics.batch_bytes_max))
}
