//! How the client library reacts to rare answers, tested with a mock of the brokers. It would wait for ever if a member
//! left its group without answering a change of the assignment, or if the answer to offsets was lost.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use simple_sourcing::{
    App,
    engine::{AggregateIndex, Definition, Shard},
    port::Stopped,
    prelude::*,
};

use super::WorkerLog;
use crate::{
    access::Role,
    config::Kafka,
    log::{Change, Failure, Log, NewRecord, Producer},
    progress::Progress,
    record::Headers,
    topics::{Ends, Topics},
};

const PARTITIONS: u32 = 4;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a member may take to leave.
const END_WITHIN: Duration = Duration::from_secs(30);

/// How long offsets may take: a transaction has ended by then.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(60);

#[event(key = String)]
enum TallyEvent {
    #[create]
    Begun,
}

#[command(event = TallyEvent, error = Never)]
enum TallyCommand {
    #[create]
    Begin,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("never")]
struct Never;

#[aggregate(command = TallyCommand)]
struct Tally;

impl TallyHandler for Tally {
    fn begin() -> Decision<Self> {
        emit(TallyEvent::Begun)
    }
}

impl TallyApplier for Tally {
    fn begun() -> Self {
        Tally
    }
}

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// Leaves where a test fails, too: who does not would wait for ever.
struct Member(WorkerLog);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[test]
fn leaves_with_an_assignment_unanswered() {
    let cluster = cluster();
    let member = joined(&cluster, None);
    let change = change(&member);
    assert!(matches!(&change, Change::Assigned(shards) if shards.len() == PARTITIONS as usize), "{change:?}");
    leave(member);
}

/// As where there are more members than partitions.
#[test]
fn leaves_with_an_assignment_of_nothing_unanswered() {
    let are_none = |change: &Change| matches!(change, Change::Assigned(shards) if shards.is_empty());
    // On a slow machine one may have been given up by the mock when the other joins: then once more.
    until(|| {
        let cluster = cluster_with(1);
        let members = [joined(&cluster, None), joined(&cluster, None)];
        let changes = members.each_ref().map(change);
        members.into_iter().for_each(leave);
        changes.iter().any(are_none)
    });
}

#[test]
fn leaves_with_a_revocation_unanswered() {
    let cluster = cluster();
    let member = serving(&cluster, None);
    let other = joined(&cluster, None);
    let change = change(&member);
    assert!(matches!(change, Change::Revoked { lost: false, .. }), "{change:?}");
    leave(member);
    leave(other);
}

#[test]
fn leaves_with_a_loss_unanswered() {
    let cluster = cluster();
    let member = serving(&cluster, None);
    cluster.broker_down(1).expect("it goes");
    let change = change(&member);
    assert!(matches!(change, Change::Revoked { lost: true, .. }), "{change:?}");
    leave(member);
}

/// As when a broker comes back that has not missed a member with a name.
#[test]
fn leaves_shut_out_with_a_loss_unanswered() {
    let cluster = cluster();
    let member = serving(&cluster, Some("a"));
    cluster.broker_down(1).expect("it goes");
    let change = change(&member);
    assert!(matches!(change, Change::Revoked { lost: true, .. }), "{change:?}");
    let fenced = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID; 10];
    cluster.request_errors(RDKafkaApiKey::Heartbeat, &fenced);
    cluster.broker_up(1).expect("it comes");
    until(|| pollster::block_on(member.0.next(Duration::from_millis(50))).is_err());
    leave(member);
}

#[test]
fn offsets_that_the_library_loses_are_given_up() {
    let cluster = cluster();
    let member = serving(&cluster, None);
    // With this error the library ends requests that it does not send any more, and says so to nobody.
    cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR__DESTROY]);
    within(GIVEN_UP_WITHIN, move || {
        let mut producer = pollster::block_on(member.0.producer(0)).expect("it can be had");
        producer.begin().expect("nothing is under way");
        let next = BTreeMap::from([(
            Shard { aggregate: AggregateIndex::new(0), partition: 0 },
            Progress { next: 1, attempt: None },
        )]);
        let membership = member.0.membership().expect("it is in the group");
        let written = pollster::block_on(producer.write_offsets(&next, membership));
        assert!(matches!(written, Err(Failure::Retryable(_))), "there is no answer");
        pollster::block_on(member.0.producer(0)).expect("another takes its place");
    });
}

#[test]
fn a_transaction_of_a_former_generation_is_aborted_and_the_producer_goes_on() {
    let cluster = cluster();
    let member = serving(&cluster, None);
    cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION]);
    let next = BTreeMap::from([(
        Shard { aggregate: AggregateIndex::new(0), partition: 0 },
        Progress { next: 1, attempt: None },
    )]);
    let mut producer = pollster::block_on(member.0.producer(0)).expect("it can be had");
    let mut transact = || -> Result<(), Failure> {
        producer.begin()?;
        producer.write(anything(&Headers::default()))?;
        pollster::block_on(producer.write_offsets(&next, member.0.membership()?))?;
        pollster::block_on(producer.flush())?;
        Ok(pollster::block_on(producer.commit())?)
    };
    assert!(matches!(transact(), Err(Failure::StaleGeneration(_))));
    assert!(transact().is_ok());
}

/// The library logs an error like the last one of a broker only every 30 seconds, and it is the log that tells.
#[test]
fn each_loss_of_a_connection_is_noticed() {
    let cluster = cluster();
    let member = joined(&cluster, None);
    let mut producer = pollster::block_on(member.0.producer(0)).expect("it can be had");
    for _ in 0..3 {
        producer.begin().expect("the last transaction has ended");
        producer.write(anything(&Headers::default())).expect("there is room for it");
        pollster::block_on(producer.flush()).expect("it arrives");
        // With this error the mock closes the connection.
        cluster.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT]);
        pollster::block_on(producer.commit()).expect("it is sent again");
        assert!(producer.check_nothing_in_flight().is_err(), "the first may still arrive");
    }
}

fn anything(headers: &Headers) -> NewRecord<'_> {
    let (key, value) = (None, Some(&b"anything"[..]));
    NewRecord { topic: "command", partition: 0, key, value, headers, time: Timestamp::now(), tracked: None }
}

fn cluster() -> Cluster {
    cluster_with(PARTITIONS)
}

fn cluster_with(partitions: u32) -> Cluster {
    let cluster = MockCluster::new(1).expect("there is a mock");
    cluster.create_topic("command", partitions as i32, 1).expect("it makes topics");
    cluster
}

/// A member that is about to be given partitions.
fn joined(cluster: &Cluster, instance: Option<&str>) -> Member {
    let definition = App::new("bank").aggregate::<Tally>().into_definition();
    let mut kafka = Kafka::new(cluster.bootstrap_servers()).property("session.timeout.ms", "6000");
    kafka.group = "bank".to_owned();
    kafka.instance = instance.map(str::to_owned);
    let member = open(kafka, &definition);
    member.join().expect("it joins");
    Member(member)
}

fn open(kafka: Kafka, definition: &Definition) -> WorkerLog {
    let topics: Arc<[Topics]> = Arc::new([Topics {
        role: Role::Service,
        command: "command".to_owned(),
        event: "event".to_owned(),
        state: "state".to_owned(),
        response: "response".to_owned(),
        answer: "answer".to_owned(),
        dead_letter: "dead_letter".to_owned(),
        owner: "owner".to_owned(),
        batch_bytes_max: 1_000_000,
        dead_letter_bytes_max: 1_000_000,
        partitions: PARTITIONS,
        reset_advice: String::new(),
    }]);
    let ends = Arc::new(Ends::new(topics.clone()));
    WorkerLog::open(kafka, definition, topics, ends, "a".to_owned(), Stopped::new()).expect("there is a consumer")
}

/// One that reads all partitions.
fn serving(cluster: &Cluster, instance: Option<&str>) -> Member {
    let member = joined(cluster, instance);
    let Change::Assigned(shards) = change(&member) else { panic!("nothing was there to be taken away") };
    member.0.accept().expect("they can be taken");
    shards.into_iter().for_each(|shard| member.0.add(shard, 0).expect("it can be read"));
    member
}

/// The next change, which is not answered.
fn change(Member(member): &Member) -> Change {
    let mut changes = Default::default();
    until(|| {
        // An error ends nothing here.
        let _ = pollster::block_on(member.next(Duration::from_millis(50)));
        changes = member.changes();
        !changes.is_empty()
    });
    assert_eq!(changes.len(), 1, "{changes:?}");
    changes.pop_front().expect("there is one")
}

fn leave(member: Member) {
    within(END_WITHIN, move || drop(member));
}

fn within(time: Duration, done: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        done();
        ended.send(())
    });
    end.recv_timeout(time).expect("it comes to an end in time");
}

fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "within {PATIENCE:?}");
    }
}
