//! Fault 18: somebody else opens a transaction on a topic of the service, and doesn't end it.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use simple_sourcing::{Cursor, prelude::*};
use simple_sourcing_kafka::{Kafka, Restoring};
use simple_sourcing_tests::{
    bank::{
        Done,
        domain::{Account, AccountEvent},
    },
    checker::History,
};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    ground::{Bank, PARTITIONS, SOME, broker},
    table::Row,
    topics::command,
};

/// How long it stays open before it must be reported, and not earlier: the broker ends a service's own transactions
/// sooner.
const SAID_AFTER: Duration = Duration::from_secs(20);
const SAID_WITHIN: Duration = Duration::from_secs(35);

/// How long something may take that nothing holds back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the transaction is.
const PARTITION: u32 = 1;

/// A transaction of an unrelated producer.
struct Foreign {
    topic: String,
    opened: Instant,
    /// Ends nothing when it is dropped.
    _producer: BaseProducer,
}

impl Foreign {
    /// Opens one on a topic.
    async fn open(bank: &Bank, topic: &str, timeout: Duration) -> Self {
        let topic = bank.topics().name(topic);
        let opened = {
            let topic = topic.clone();
            spawn_blocking(move || open(&topic, timeout)).await.expect("it does not panic")
        };
        Foreign { topic, opened: Instant::now(), _producer: opened }
    }

    /// Checks that these words name it, and that the commands in them work: one shows the producer, and one ends the
    /// transaction.
    async fn is_named_and_ended_by(&self, words: String) {
        assert!(words.contains("a transaction of somebody else is open"), "{words}");
        assert!(words.contains(&format!("`{}`, partition {PARTITION}", self.topic)), "{words}");
        let after = self.opened.elapsed();
        assert!(after >= SAID_AFTER && after <= SAID_WITHIN, "said after {after:?}");
        let run = move || {
            let [show, end] = ["describe-producers", "abort"].map(|what| {
                let parts = words.split('`').filter(|part| part.starts_with("kafka-transactions.sh"));
                parts.filter(|part| part.contains(what)).map(str::to_owned).next().expect("it says how")
            });
            let offset = end.rsplit_once(' ').expect("with the offset").1.to_owned();
            let producers = broker().run_tool(&show);
            let opens_there = |line: &str| line.split_whitespace().last() == Some(&*offset);
            assert!(producers.lines().any(opens_there), "at {offset} of none of: {producers}");
            let _ = broker().run_tool(command(&end, "kafka-transactions.sh"));
        };
        spawn_blocking(run).await.expect("it does not panic");
    }
}

fn open(topic: &str, timeout: Duration) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker().bootstrap_servers());
    config.set("transactional.id", format!("of-nobody-we-know-on-{topic}"));
    config.set("transaction.timeout.ms", timeout.as_millis().to_string());
    let producer: BaseProducer = config.create().expect("a producer");
    producer.init_transactions(PATIENCE).expect("it is admitted");
    producer.begin_transaction().expect("it begins");
    let record = BaseRecord::<str, str>::to(topic).partition(PARTITION as i32).key("whatever").payload("whatever");
    producer.send(record).map_err(|(error, _)| error).expect("it is queued");
    producer.flush(PATIENCE).expect("it is written");
    producer
}

/// Commands are held back until somebody ends the transaction with the command that the log names.
pub(crate) async fn before_commands() -> Row {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let mut load = bank.load().await;

    let foreign = Foreign::open(&bank, "command_request", 10 * PATIENCE).await;
    // What was already fetched is still delivered.
    while !load.is_stalled_for(Duration::from_secs(2)).await {}
    let (node, words) = spawn_blocking(|| {
        let words = node.says("is open in topic");
        (node, words)
    })
    .await
    .expect("it says so");
    assert!(load.is_stalled_for(Duration::from_secs(1)).await, "it is over by itself");
    foreign.is_named_and_ended_by(words).await;

    load.progress(SOME).await;
    let (node, over) = spawn_blocking(|| {
        let over = node.says("readers continue");
        (node, over)
    })
    .await
    .expect("it says so");
    assert!(over.contains(&foreign.topic), "{over}");
    let row = bank.check_load(load, History::new(), vec![node]).await;
    row.with("transaction of somebody else open before commands, ended by hand", 1)
}

/// Readers of events are held back until the transaction times out. Senders of commands are not.
pub(crate) async fn before_events() -> Row {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let mut load = bank.load().await;
    let foreign = Foreign::open(&bank, "event", SAID_WITHIN).await;
    load.progress(SOME).await;

    let mut history = History::new();
    bank.is_served(&mut history).await;
    let last = loop {
        let key = format!("last-{}", CommandId::new());
        let id = CommandId::new();
        history.sent(&key, id);
        let receipt = bank.accounts().open(key, String::new()).command_id(id).await.expect("it is served");
        history.answered(id, simple_sourcing_tests::checker::Answer::Accepted(receipt.sequence));
        if receipt.position.partition == PARTITION {
            break receipt.position;
        }
    };
    let mut events = bank.app.follow::<AccountEvent>(Cursor::beginning());
    let mut read = async || loop {
        let event = events.next().await.expect("the log goes on").expect("it can be read");
        if event.meta.command_position == last {
            return;
        }
    };
    let held_back = timeout(Duration::from_secs(5), read()).await.is_err();
    assert!(held_back, "it was read in spite of the transaction");
    let (node, words) = spawn_blocking(|| {
        let words = node.says("is open in topic");
        (node, words)
    })
    .await
    .expect("it says so");
    assert!(words.contains(&foreign.topic), "{words}");
    timeout(SAID_WITHIN, read()).await.expect("readers go on by themselves");
    assert!(foreign.opened.elapsed() > SAID_AFTER, "it was over before its time");

    let row = bank.check_load(load, history, vec![node]).await;
    row.with("transaction of somebody else open before events, over by itself", 1)
}

/// A start waits until it ends, and shows what it waits for.
pub(crate) async fn before_states() -> Row {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let load = bank.load().await;
    let Done { history, longest, .. } = load.finish().await;
    bank.stop(node).await;

    let foreign = Foreign::open(&bank, "aggregate", 10 * PATIENCE).await;
    let restoring = Restoring::new();
    let kafka = Kafka::new(broker().bootstrap_servers()).prefix(bank.prefix()).partitions(PARTITIONS);
    let starting = tokio::spawn(App::new("bank").aggregate::<Account>().start(kafka.restoring(&restoring)));
    let held_back = async {
        loop {
            let partitions = restoring.partitions();
            if let Some(open) = partitions.into_iter().find_map(|partition| partition.held_back_by) {
                return open;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let open = timeout(SAID_WITHIN, held_back).await.expect("it shows what it waits for");
    assert_eq!((&open.topic, open.partition), (&foreign.topic, PARTITION));
    assert!(!starting.is_finished(), "it serves states that it has not read");
    foreign.is_named_and_ended_by(open.to_string()).await;
    let service = timeout(PATIENCE, starting).await.expect("it starts now").expect("it does not panic");
    let service = service.expect("it starts now");
    let row = bank.check(history, Vec::new()).await.answered_within(longest);
    service.shutdown().await.expect("an orderly end");
    row.with("transaction of somebody else open before states, ended by hand", 1)
}
