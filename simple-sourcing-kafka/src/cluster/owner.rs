//! Which app serves an aggregate type. The first one claims it in the owner topic, and the order of that log decides:
//! an app writes its claim, and then reads all claims up to it. So if two apps start at once, both see who was first.
//!
//! The owner is checked before anything is served, by each restore of a partition, and every few seconds. The second of
//! these makes a takeover safe: the new app sees a process of the former owner in its group and waits until it has
//! left; or that process joins after the new claim was written, and reads it before it serves.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use simple_sourcing::{
    BackendError,
    codec::json,
    engine::{AggregateIndex, Definition},
};
use tracing::info;

use super::{
    claims::{Claim, owner},
    predecessor::{self, ENDED_WITHIN, Groups, LEAVE_WITHIN},
};
use crate::{
    config::Kafka,
    driver::{Consumer, Purpose, TopicReader, write_one},
    log::Next,
    record::Record,
    topics::Topics,
};

/// The partition of an owner topic.
const PARTITION: u32 = 0;

/// Knows who owns the aggregate types that an app serves.
pub(crate) struct Owners {
    kafka: Kafka,
    app: String,
    /// By aggregate type; none if it is not served.
    served: Vec<Option<Served>>,
    topics: Arc<[Topics]>,
    /// Asks where the claims end. Created with the first question.
    consumer: Mutex<Option<Arc<Consumer>>>,
}

struct Served {
    aggregate: &'static str,
    /// The end of the claims when the app was last known to be the owner. If no claim was added, it still is.
    owned_at: Mutex<Option<i64>>,
}

impl Owners {
    pub(crate) fn new(kafka: &Kafka, definition: &Definition, topics: Arc<[Topics]>) -> Self {
        let served = definition.aggregates.iter().map(|aggregate| {
            aggregate.is_served().then(|| Served { aggregate: aggregate.name, owned_at: Mutex::default() })
        });
        let (app, served) = (definition.name.clone(), served.collect());
        Owners { kafka: kafka.clone(), app, served, topics, consumer: Mutex::default() }
    }

    /// Makes this app the owner of everything that it serves, or fails and names the owner. Blocks.
    pub(crate) fn claim(&self) -> Result<(), BackendError> {
        let groups = Groups::new(&self.kafka);
        for (served, topics) in self.served.iter().zip(&*self.topics) {
            if let Some(served) = served {
                self.claim_one(served, topics, &groups)?;
            }
        }
        Ok(())
    }

    fn claim_one(&self, served: &Served, topics: &Topics, groups: &Groups<'_>) -> Result<(), BackendError> {
        let (mut found, mut end) = self.read(topics)?;
        if found.as_ref().is_none_or(|owner| owner.app != self.app) {
            let before = match &found {
                Some(owner) => Some(owner.app.clone()),
                None => predecessor::find(&self.kafka, &self.app, topics, groups)?,
            };
            let from = before.as_deref().filter(|before| self.kafka.predecessors.iter().any(|app| app == before));
            if let Some(other) = before.as_deref().filter(|_| from.is_none()) {
                return Err(self.refusal(served, other));
            }
            if let Some(from) = from {
                groups.await_ended(from, &topics.command, ENDED_WITHIN)?;
            }
            let claim = Claim::behind(found.as_ref(), &self.app, from);
            let written = self.write(topics, &claim)?;
            info!(
                aggregate = served.aggregate,
                app = self.app,
                epoch = claim.epoch,
                from,
                "claimed the aggregate type"
            );
            (found, end) = self.read(topics)?;
            if end <= written {
                return Err(BackendError::unavailable(format!(
                    "topic `{}` ends at {end}, though a claim was written at {written}; it seems to have been \
                     recreated",
                    topics.owner
                )));
            }
        }
        match found {
            Some(owner) if owner.app == self.app => {
                if let Some(from) = &owner.from {
                    // A process that has joined in the meantime finds out that its app is no longer the owner.
                    groups.await_ended(from, &topics.command, LEAVE_WITHIN)?;
                    groups.take_offsets(from, &self.app, topics)?;
                }
                *served.owned_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
                Ok(())
            }
            Some(owner) => Err(self.refusal(served, &owner.app)),
            None => Err(self.lost(topics)),
        }
    }

    /// An error if another app has become the owner of an aggregate type that is served here. Blocks.
    pub(crate) fn check(&self, aggregate: AggregateIndex) -> Result<(), BackendError> {
        let topics = &self.topics[aggregate];
        let Some(served) = &self.served[aggregate] else { return Ok(()) };
        let mut owned_at = served.owned_at.lock().unwrap_or_else(PoisonError::into_inner);
        if *owned_at == Some(self.end(topics)?) {
            return Ok(());
        }
        match self.read(topics)? {
            (Some(owner), end) if owner.app == self.app => {
                *owned_at = Some(end);
                Ok(())
            }
            (Some(owner), _) => Err(self.refusal(served, &owner.app)),
            (None, _) => Err(self.lost(topics)),
        }
    }

    /// Checks all aggregate types.
    pub(super) fn check_all(&self) -> Result<(), BackendError> {
        AggregateIndex::each(&self.served).try_for_each(|(aggregate, _)| self.check(aggregate))
    }

    fn refusal(&self, served: &Served, owner: &str) -> BackendError {
        let (aggregate, app) = (served.aggregate, &self.app);
        BackendError::failed(format!(
            "`{aggregate}` is served by app `{owner}`, and this app is `{app}`: both would process every command. Name \
             this app `{owner}`, like all processes that serve `{aggregate}`; or give it its own topics with \
             `.prefix(...)`; or, to rename `{owner}`, stop all of its processes and take over with \
             `.take_over_from(\"{owner}\")`"
        ))
    }

    fn lost(&self, topics: &Topics) -> BackendError {
        BackendError::failed(format!(
            "topic `{}` no longer has a claim of app `{}`: its records were deleted while the app was running. Restart \
             the app to claim again",
            topics.owner, self.app
        ))
    }

    fn consumer(&self) -> Result<Arc<Consumer>, BackendError> {
        let mut consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(consumer) = &*consumer {
            return Ok(consumer.clone());
        }
        let made = Arc::new(Consumer::open(&self.kafka, Purpose::Brief)?);
        Ok(consumer.insert(made).clone())
    }

    fn end(&self, topics: &Topics) -> Result<i64, BackendError> {
        Ok(self.consumer()?.bounds(&topics.owner, PARTITION)?.1)
    }

    /// The claim that holds, and the end of all that were read.
    fn read(&self, topics: &Topics) -> Result<(Option<Claim>, i64), BackendError> {
        let consumer = Arc::new(Consumer::open(&self.kafka, Purpose::Brief)?);
        let name = &topics.owner;
        let (first, end) = consumer.bounds(name, PARTITION)?;
        if first > 0 {
            return Err(BackendError::failed(format!(
                "topic `{name}` begins at offset {first}: claims were deleted, so the owner is unknown. Stop all \
                 services and delete the topic; the next service that starts creates it again"
            )));
        }
        let (mut claims, mut next, deadline) = (Vec::new(), 0, Instant::now() + self.kafka.connect_timeout);
        let reader = TopicReader::open(consumer, name, [(PARTITION, None)])?;
        while next < end {
            if Instant::now() > deadline {
                let within = self.kafka.connect_timeout;
                return Err(BackendError::unavailable(format!("topic `{name}` can't be read within {within:?}")));
            }
            match reader.poll()? {
                Next::Record(record) => {
                    let offset = record.offset();
                    let claim = json::decode(record.value().unwrap_or_default());
                    claims.push(claim.map_err(|reason| {
                        BackendError::failed(format!(
                            "the record at {offset} of topic `{name}` is not a claim: \
                         {reason}"
                        ))
                    })?);
                    next = offset + 1;
                }
                Next::Nothing => {}
                Next::End(_) => break,
            }
        }
        Ok((owner(claims), end))
    }

    /// Writes a claim, and returns its offset.
    fn write(&self, topics: &Topics, claim: &Claim) -> Result<i64, BackendError> {
        let name = &topics.owner;
        let value = json::encode(claim).map_err(|reason| {
            BackendError::failed(format!("a claim of app `{}` can't be written: {reason}", self.app))
        })?;
        write_one(&self.kafka, "producer of claims", "a claim", (name, PARTITION), &claim.app, &value)
    }
}
