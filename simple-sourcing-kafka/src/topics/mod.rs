//! Topics: made where they are missing, checked where they are there, and checked again while the app runs.
//!
//! | file | what it knows |
//! |---|---|
//! | `properties.rs` | with which properties topics are made |
//! | `requirements.rs` | what a topic must be, compared with what it is |
//! //! | `watch.rs` | the look at all of it, every few seconds |
//! | `owner.rs`, `claims.rs`, `predecessor.rs` | which app serves an aggregate type, and how another takes over |
//! | `group.rs` | who is in the group of the service, and commits its offsets |
//! | `ends.rs`, `stalls.rs` | what it remembers: how far topics went, and what is held back by open transactions |

mod claims;
mod ends;
mod group;
mod owner;
mod predecessor;
mod properties;
mod requirements;
mod stalls;
mod watch;

use simple_sourcing::{
    BackendError,
    backend::{AggregateDefinition, Definition},
};

use tracing::warn;

use self::requirements::Requirements;
use crate::{
    access::Role,
    config::{Kafka, PARTITIONS_DEFAULT, RECORD_BYTES_MAX},
    driver::{Admin, NewTopic},
    naming::Topic,
};

pub(crate) use ends::Ends;
pub(crate) use owner::Owners;
pub(crate) use requirements::Found;
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
    pub(crate) owner: String,
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
            Topic::Owner => &self.owner,
        }
    }

    /// The error of a topic that is kept for ever and begins there.
    pub(crate) fn cut(&self, topic: Topic, partition: u32, first: i64) -> BackendError {
        let why = format!("in partition {partition} it begins at {first}, and the records in front of that are gone");
        self.made_anew(topic, &why)
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
///
/// All are asked for at once, and all that are missing are made at once: what takes its time is the brokers' telling each
/// other, not the making.
pub(crate) fn ensure(kafka: &Kafka, definition: &Definition) -> Result<Vec<Topics>, BackendError> {
    let admin = Admin::connect(kafka)?;
    let mut plans: Vec<Plan<'_>> = definition.aggregates.iter().map(|aggregate| Plan::new(kafka, aggregate)).collect();
    let names = |plans: &[Plan<'_>]| plans.iter().flat_map(|plan| plan.names.clone()).collect::<Vec<String>>();
    let found = admin.partitions_of_all(&names(&plans))?;
    let (mut found, mut missing) = (found.into_iter(), Vec::new());
    for plan in &mut plans {
        let found: Vec<_> = found.by_ref().take(plan.topics.len()).collect();
        missing.extend(plan.compare(&admin, &found)?);
    }
    admin.create(&missing)?;
    let mut whole = admin.await_found(&names(&plans))?.into_iter();
    plans.into_iter().map(|plan| plan.check(&admin, whole.by_ref())).collect()
}

/// What is to be there for one aggregate type.
struct Plan<'a> {
    requirements: Requirements<'a>,
    role: Role,
    /// Those that are used, and their names in the same order.
    topics: Vec<Topic>,
    names: Vec<String>,
}

impl<'a> Plan<'a> {
    fn new(kafka: &'a Kafka, aggregate: &'a AggregateDefinition) -> Self {
        let role = Role::of(aggregate);
        let topics: Vec<Topic> = role.topics().collect();
        let names = topics.iter().map(|&topic| kafka.topic(aggregate.name, topic)).collect();
        let partitions = kafka.partitions.unwrap_or(PARTITIONS_DEFAULT);
        Plan { requirements: Requirements { kafka, aggregate, partitions }, role, topics, names }
    }

    /// Those that are missing, of how many partitions each of them has. What can be done without is left out then.
    fn compare(&mut self, admin: &Admin, found: &[Option<u32>]) -> Result<Vec<NewTopic>, BackendError> {
        let Requirements { kafka, aggregate, .. } = self.requirements;
        let of_aggregates = self.topics.iter().zip(found).filter(|(topic, _)| **topic != Topic::Owner);
        let there = of_aggregates.filter_map(|(_, found)| *found).next();
        self.requirements.partitions = kafka.partitions.or(there).unwrap_or(PARTITIONS_DEFAULT);
        let (mut missing, mut used) = (Vec::new(), Vec::new());
        for ((&topic, name), found) in self.topics.iter().zip(&self.names).zip(found) {
            match *found {
                Some(partitions) => self.requirements.check_partitions(topic, partitions)?,
                None => {
                    admin.check_visible(name, &kafka.rights_on(aggregate.name, &kafka.group, self.role))?;
                    if self.role.does_without(topic) {
                        continue;
                    }
                    missing.push(NewTopic {
                        name: name.clone(),
                        properties: properties::properties(kafka, topic, &aggregate.settings),
                        partitions: topic.partitions(self.requirements.partitions),
                    });
                }
            }
            used.push((topic, name.clone()));
        }
        (self.topics, self.names) = used.into_iter().unzip();
        Ok(missing)
    }

    /// All of them are there by now.
    fn check(self, admin: &Admin, found: impl Iterator<Item = Found>) -> Result<Topics, BackendError> {
        let Requirements { kafka, aggregate, partitions } = self.requirements;
        let (mut batch_bytes_max, mut dead_letter_bytes_max) = (usize::MAX, 0);
        for ((topic, name), found) in self.topics.into_iter().zip(&self.names).zip(found) {
            self.requirements.check(topic, &found)?;
            match topic {
                Topic::DeadLetter => dead_letter_bytes_max = found.bytes_max().min(RECORD_BYTES_MAX),
                _ => batch_bytes_max = batch_bytes_max.min(found.bytes_max()),
            }
            if topic == Topic::Event {
                warn_of_risks(admin, name, &found)?;
            }
        }
        let name = |topic| kafka.topic(aggregate.name, topic);
        Ok(Topics {
            role: self.role,
            command: name(Topic::Command),
            event: name(Topic::Event),
            state: name(Topic::State),
            response: name(Topic::Response),
            answer: name(Topic::Answer),
            dead_letter: name(Topic::DeadLetter),
            owner: name(Topic::Owner),
            batch_bytes_max,
            dead_letter_bytes_max,
            partitions,
            give_up: requirements::give_up(kafka, aggregate.name),
        })
    }
}

/// Warns where the loss of one broker can lose acknowledged data.
fn warn_of_risks(admin: &Admin, event_topic: &str, found: &Found) -> Result<(), BackendError> {
    let replicas = admin.replicas(event_topic)?;
    let in_sync = found.value("min.insync.replicas");
    if replicas < 2 || in_sync == "1" {
        warn!(
            topic = event_topic,
            replicas,
            min_insync_replicas = in_sync,
            "the loss of one broker can lose acknowledged commands; 3 replicas and min.insync.replicas=2 are safe"
        );
    }
    Ok(())
}

/// How many bytes a producer of records to these topics puts into one batch. A topic's limit holds for a whole batch, and not
/// only for a record.
pub(crate) fn batch_bytes(topics: &[Topics]) -> usize {
    topics.iter().fold(BATCH_BYTES_MAX, |bytes, topics| bytes.min(topics.batch_bytes_max))
}
