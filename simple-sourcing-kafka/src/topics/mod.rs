//! Topics: made where they are missing, checked where they are there, and checked again while the app runs.
//!
//! | file | what it knows |
//! |---|---|
//! | `properties.rs` | with which properties topics are made |
//! | `requirements.rs` | what a topic must be, compared with what it is |
//! | `cluster.rs` | the questions to the brokers |
//! | `watch.rs` | the look at all of it, every few seconds |
//! | `group.rs` | who is in the group of the service, and commits its offsets |
//! | `ends.rs`, `stalls.rs` | what it remembers: how far topics went, and what is held back by open transactions |

mod cluster;
mod ends;
mod group;
mod properties;
mod requirements;
mod stalls;
mod watch;

use simple_sourcing::{
    BackendError,
    backend::{AggregateDefinition, Definition},
};

use self::{cluster::Cluster, requirements::Requirements};
use crate::{
    access::Role,
    config::{Kafka, PARTITIONS_DEFAULT},
    naming::Topic,
};

pub(crate) use ends::Ends;
pub use stalls::OpenTransaction;
pub(crate) use stalls::Stalls;
pub(crate) use watch::Watch;

/// The most bytes in one batch of records, where the topics allow it.
const BATCH_BYTES_MAX: usize = 1_000_000;

/// The names of the topics of one aggregate type, and how many partitions each has.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    /// What this process has to do with them.
    pub(crate) role: Role,
    pub(crate) command: String,
    pub(crate) event: String,
    pub(crate) state: String,
    pub(crate) response: String,
    pub(crate) answer: String,
    pub(crate) dead_letter: String,
    /// The longest batch of records that each of the other topics takes.
    pub(crate) batch_bytes_max: usize,
    /// The longest record that the dead letters take; of no use where nothing is served.
    pub(crate) dead_letter_bytes_max: usize,
    pub(crate) partitions: u32,
    /// How to begin anew, for errors.
    pub(crate) give_up: String,
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
        }
    }

    /// The error of a topic that is another than the one whose contents the others go by.
    pub(crate) fn made_anew(&self, topic: Topic, why: &str) -> BackendError {
        BackendError::failed(format!(
            "topic `{}` was deleted and made again, or cut: {why}; {}",
            self.name(topic),
            requirements::lost(topic, &self.give_up)
        ))
    }
}

/// Makes or checks the topics of all aggregates of an app, in the order of the definition. Blocks.
pub(crate) fn ensure(kafka: &Kafka, definition: &Definition) -> Result<Vec<Topics>, BackendError> {
    let cluster = Cluster::connect(kafka)?;
    definition.aggregates.iter().map(|aggregate| ensure_of(&cluster, aggregate)).collect()
}

fn ensure_of(cluster: &Cluster, aggregate: &AggregateDefinition) -> Result<Topics, BackendError> {
    let kafka = cluster.kafka();
    let name = |topic| kafka.topic(aggregate.name, topic);
    let role = Role::of(aggregate);
    let used: Vec<Topic> = role.topics().collect();
    let names: Vec<String> = used.iter().map(|&topic| name(topic)).collect();
    let found = cluster.partitions_of_all(&names)?;
    let partitions = kafka.partitions.or(found.iter().flatten().next().copied()).unwrap_or(PARTITIONS_DEFAULT);
    let requirements = Requirements { kafka, aggregate, partitions };
    for (&topic, found) in used.iter().zip(&found) {
        if let Some(found) = *found {
            requirements.check_partitions(topic, found)?;
        }
    }
    let mut there = Vec::new();
    for ((topic, name), found) in used.into_iter().zip(&names).zip(found) {
        if found.is_none() {
            cluster.check_visible(name, &kafka.rights_on(aggregate.name, &kafka.group, role))?;
            if role.does_without(topic) {
                continue;
            }
            cluster.create(name, &properties::properties(kafka, topic, &aggregate.settings), partitions)?;
        }
        there.push((topic, name));
    }
    let (mut batch_bytes_max, mut dead_letter_bytes_max) = (usize::MAX, 0);
    for (topic, name) in there {
        let found = cluster.await_found(name)?;
        requirements.check(topic, &found)?;
        match topic {
            Topic::DeadLetter => dead_letter_bytes_max = found.bytes_max(),
            _ => batch_bytes_max = batch_bytes_max.min(found.bytes_max()),
        }
        if topic == Topic::Event {
            cluster.warn_of_risks(name, &found)?;
        }
    }
    Ok(Topics {
        role,
        command: name(Topic::Command),
        event: name(Topic::Event),
        state: name(Topic::State),
        response: name(Topic::Response),
        answer: name(Topic::Answer),
        dead_letter: name(Topic::DeadLetter),
        batch_bytes_max,
        dead_letter_bytes_max,
        partitions,
        give_up: requirements::give_up(kafka, aggregate.name),
    })
}

/// How many bytes a producer of records to these topics puts into one batch, as its property. A topic's limit holds for a
/// whole batch, and not only for a record.
pub(crate) fn batch_size(topics: &[Topics]) -> String {
    topics.iter().fold(BATCH_BYTES_MAX, |bytes, topics| bytes.min(topics.batch_bytes_max)).to_string()
}
