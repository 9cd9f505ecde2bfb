//! The cluster on which an app runs. Topics are created if they are missing, checked if they exist, and watched while
//! the app runs.
//!
//! | file | what it knows |
//! |---|---|
//! | `watch.rs` | the checks of a running app, every few seconds |
//! | `stalls.rs` | which partitions are held back by open transactions |
//! | `owner.rs`, `claims.rs`, `predecessor.rs` | which app serves an aggregate type, and how another takes over |
//! | `group.rs` | who is in the group of the service, and commits its offsets |

mod claims;
mod group;
mod owner;
mod predecessor;
mod stalls;
mod watch;

use simple_sourcing::{
    BackendError,
    engine::{AggregateDefinition, Definition},
};
use tracing::warn;

use crate::{
    access::Role,
    config::{Kafka, PARTITIONS_DEFAULT, RECORD_BYTES_MAX},
    driver::{Admin, Consumer, NewTopic, Purpose},
    naming::Topic,
    topics::{self, Found, Requirements, Topics},
};

pub(crate) use owner::Owners;
pub(crate) use watch::Watch;

/// The id of the cluster. Blocks.
pub(crate) fn id(kafka: &Kafka) -> Result<String, BackendError> {
    Consumer::open(kafka, Purpose::Ends)?.cluster_id().ok_or_else(|| {
        BackendError::unavailable(format!(
            "the brokers did not tell the id of their cluster within {:?}",
            kafka.connect_timeout
        ))
    })
}

/// Creates or checks the topics of all aggregates of an app, in the order of the definition. Blocks.
///
/// One request asks for all topics, and one creates all missing ones: what takes time is that the brokers tell each
/// other.
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

/// The topics that one aggregate type needs.
struct Plan<'a> {
    requirements: Requirements<'a>,
    role: Role,
    /// The topics that are used, and their names in the same order.
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

    /// Returns the missing topics. Leaves out those that this role works without.
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
                        properties: topics::properties(kafka, topic, &aggregate.settings),
                        partitions: topic.partitions(self.requirements.partitions),
                    });
                }
            }
            used.push((topic, name.clone()));
        }
        (self.topics, self.names) = used.into_iter().unzip();
        Ok(missing)
    }

    /// Checks the topics. All of them exist by now.
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
            reset_advice: topics::reset_advice(kafka, aggregate.name),
        })
    }
}

/// Warns if the loss of one broker can lose acknowledged data.
fn warn_of_risks(admin: &Admin, event_topic: &str, found: &Found) -> Result<(), BackendError> {
    let replicas = admin.replicas(event_topic)?;
    let in_sync = found.value("min.insync.replicas");
    if replicas < 2 || in_sync == "1" {
        warn!(
            topic = event_topic,
            replicas,
            min_insync_replicas = in_sync,
            "the loss of one broker can lose acknowledged commands; use 3 replicas and min.insync.replicas=2"
        );
    }
    Ok(())
}
