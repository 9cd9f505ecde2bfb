//! Which app serves an aggregate type. The first to serve claims it in the owner topic, and the order of that log decides: a
//! claim is written, and then all are read up to it, so that of two that start at once both see who was the first.
//!
//! Looked at before anything is served, by each partition that is restored, and every few seconds. The second of these makes
//! a hand-over safe: a process of the former owner either is seen in its group by the new one, which waits for it to leave,
//! or joins after the new claim was written, and reads that before it serves.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    time::Instant,
};

use rdkafka::{
    ClientContext, Message, Offset,
    consumer::BaseConsumer,
    error::KafkaError,
    message::DeliveryResult,
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use simple_sourcing::{BackendError, codec, engine::Definition};
use tracing::info;

use super::{
    Topics,
    claims::{Claim, owner},
    predecessor::{self, ENDED_WITHIN, Groups, LEAVE_WITHIN},
};
use crate::{
    access::{Operation, Right},
    config::Kafka,
    logging::Reports,
    reader::{End, Reader, create, ends_of},
};

/// The partition of an owner topic.
const PARTITION: u32 = 0;

/// Knows who owns the aggregate types that an app serves.
pub(crate) struct Owners {
    kafka: Kafka,
    app: String,
    /// By aggregate type; none of those that are not served.
    served: Vec<Option<Served>>,
    topics: Arc<[Topics]>,
    /// Asks for the ends of claims, for whoever looks. Made with the first question.
    consumer: Mutex<Option<Arc<BaseConsumer<Reports>>>>,
}

struct Served {
    aggregate: &'static str,
    /// The end of the claims behind which the app was the owner. Where nothing was added, it is that still.
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

    /// Makes this app the owner of all that it serves, or says who is. Blocks.
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
            info!(aggregate = served.aggregate, app = self.app, epoch = claim.epoch, from, "claimed");
            (found, end) = self.read(topics)?;
            if end <= written {
                return Err(BackendError::unavailable(format!(
                    "topic `{}` ends at {end}, and a claim was written at {written}: it seems to have been recreated",
                    topics.owner
                )));
            }
        }
        match found {
            Some(owner) if owner.app == self.app => {
                if let Some(from) = &owner.from {
                    // One that has come meanwhile finds out that it is not the owner.
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
    pub(crate) fn check(&self, aggregate: usize) -> Result<(), BackendError> {
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

    /// The same of all.
    pub(super) fn check_all(&self) -> Result<(), BackendError> {
        (0..self.served.len()).try_for_each(|aggregate| self.check(aggregate))
    }

    fn refusal(&self, served: &Served, owner: &str) -> BackendError {
        let (aggregate, app) = (served.aggregate, &self.app);
        BackendError::failed(format!(
            "`{aggregate}` is served by app `{owner}`, and this app is `{app}`: both would process every command. Call this one \
             `{owner}`, as all processes that serve `{aggregate}` must be; or give it topics of its own with `.prefix(...)`; or, \
             to rename `{owner}`, end all of its processes and hand over with `.take_over_from(\"{owner}\")`"
        ))
    }

    fn lost(&self, topics: &Topics) -> BackendError {
        BackendError::failed(format!(
            "topic `{}` has no claim of app `{}` any more: its records were deleted while the app runs; a start claims again",
            topics.owner, self.app
        ))
    }

    fn consumer(&self) -> Result<Arc<BaseConsumer<Reports>>, BackendError> {
        let mut consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(consumer) = &*consumer {
            return Ok(consumer.clone());
        }
        let made = Arc::new(create(&self.kafka, &self.kafka.brief_reader())?);
        Ok(consumer.insert(made).clone())
    }

    fn end(&self, topics: &Topics) -> Result<i64, BackendError> {
        Ok(ends_of(&*self.consumer()?, &self.kafka, &topics.owner, PARTITION)?.1)
    }

    /// The claim that holds, and the end of all that were read.
    fn read(&self, topics: &Topics) -> Result<(Option<Claim>, i64), BackendError> {
        let consumer = Arc::new(create(&self.kafka, &self.kafka.brief_reader())?);
        let name = &topics.owner;
        let (first, end) = ends_of(&consumer, &self.kafka, name, PARTITION)?;
        if first > 0 {
            return Err(BackendError::failed(format!(
                "topic `{name}` begins at offset {first}: claims were deleted, so that nobody can tell who the owner is. Delete \
                 the topic while no service runs, and the next that starts makes it again"
            )));
        }
        let (mut claims, mut next, deadline) = (Vec::new(), 0, Instant::now() + self.kafka.connect_timeout);
        let reader = Reader::on(consumer, &self.kafka, name, [(PARTITION, Offset::Beginning)])?;
        while next < end {
            if Instant::now() > deadline {
                let within = self.kafka.connect_timeout;
                return Err(BackendError::unavailable(format!("topic `{name}` can't be read within {within:?}")));
            }
            match reader.poll() {
                Ok(Some(message)) => {
                    let offset = message.offset();
                    let claim = codec::decode(message.payload().unwrap_or_default());
                    claims.push(claim.map_err(|reason| {
                        BackendError::failed(format!("the record at {offset} of topic `{name}` is no claim: {reason}"))
                    })?);
                    next = offset + 1;
                }
                Ok(None) => {}
                Err(End::Of(_)) => break,
                Err(End::Failed(error)) => return Err(error),
            }
        }
        Ok((owner(claims), end))
    }

    /// Writes a claim, and says where it stands.
    fn write(&self, topics: &Topics, claim: &Claim) -> Result<i64, BackendError> {
        let name = &topics.owner;
        let value = codec::encode(claim).map_err(|reason| {
            BackendError::failed(format!("a claim of app `{}` can't be written: {reason}", self.app))
        })?;
        let (sender, delivered) = mpsc::channel();
        let context = Delivered { reports: Reports::new(&self.kafka), sender };
        let timeout = self.kafka.connect_timeout;
        let producer: ThreadedProducer<Delivered> = self
            .kafka
            .client(&[("enable.idempotence", "true"), ("message.timeout.ms", &timeout.as_millis().to_string())])
            .create_with_context(context)
            .map_err(|error| self.kafka.client_error("producer of claims", &error))?;
        let failed = |error| {
            let needs = [Right::on_topic(Operation::Write, name)];
            self.kafka.describe(format!("a claim can't be written to topic `{name}`"), &needs, error)
        };
        let record = BaseRecord::to(name).partition(PARTITION as i32).key(&*claim.app).payload(&*value);
        producer.send(record).map_err(|(error, _)| failed(error))?;
        producer.flush(timeout).map_err(failed)?;
        let timed_out = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        delivered.recv_timeout(timeout).unwrap_or(Err(timed_out)).map_err(failed)
    }
}

/// Says where a record stands.
struct Delivered {
    reports: Reports,
    sender: Sender<Result<i64, KafkaError>>,
}

impl ClientContext for Delivered {
    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.report(&error, reason);
    }
}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        // Who waits for it may have given up.
        let _ = self.sender.send(result);
    }
}
