//! Fault 16: topics are deleted, recreated, repartitioned, or configured to lose records, with and without a running
//! service.

use std::time::{Duration, Instant};

use simple_sourcing::prelude::*;
use simple_sourcing_tests::{
    bank::domain::AccountClient,
    checker::{Aborted, Answer, History},
    node::Node,
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};

use crate::{
    ground::{Bank, PARTITIONS, SOME, broker},
    table::Row,
};

/// How long a process may keep running: it checks every 5 seconds, once more a second later, and needs some time for
/// that.
const NOTICED_WITHIN: Duration = Duration::from_secs(15);

/// By then everybody has checked.
const LOAD_TIME: Duration = Duration::from_secs(6);

/// The account of those who keep sending.
const KEY: &str = "account-0";

/// Properties of a topic.
type Policy = &'static [(&'static str, &'static str)];

/// The topics that others depend on, with what it takes to recreate them unchanged.
const POLICIES: [(&str, Policy); 4] = [
    ("command_request", &[("message.timestamp.type", "LogAppendTime")]),
    ("event", &[("retention.ms", "-1")]),
    ("aggregate", &[("cleanup.policy", "compact")]),
    ("command_response", &[]),
];

/// The topics with a policy under which each loses something, and a word for it.
const LOSING: [(&str, Policy, &str); 6] = [
    ("command_request", &[("message.timestamp.type", "CreateTime")], "message.timestamp.type=CreateTime"),
    ("event", &[("retention.ms", "604800000")], "retention.ms=604800000"),
    ("aggregate", &[("cleanup.policy", "delete")], "cleanup.policy=delete"),
    ("command_response", &[("retention.ms", "3600000")], "retention.ms=3600000"),
    ("answer", &[("cleanup.policy", "compact")], "cleanup.policy=compact"),
    ("dead_letter", &[("retention.ms", "-1"), ("retention.bytes", "1000000")], "retention.bytes=1000000"),
];

/// Clients neither read nor write these, so they keep running, and wait for a service.
const OF_SERVICES: [&str; 2] = ["aggregate", "dead_letter"];

/// A bank that has served a load, and whose service is asked for one thing after the other.
struct Busy {
    bank: Bank,
    node: Node,
    sending: JoinHandle<Unanswered>,
}

/// What was sent, and the last command, which has no answer because nobody serves it.
struct Unanswered {
    history: History,
    id: CommandId,
}

impl Busy {
    async fn open() -> Self {
        let bank = Bank::open().await;
        let node = bank.start("a").await;
        let (begun, mut load) = (Instant::now(), bank.load().await);
        while begun.elapsed() < LOAD_TIME {
            load.progress(SOME).await;
        }
        let history = load.finish().await.history;
        let sending = tokio::spawn(send_until_stopped(bank.accounts(), history));
        Busy { bank, node, sending }
    }

    /// Waits until the service has stopped, and the client too if it uses the topic. Both name the topic and the
    /// problem. Returns what to do.
    async fn stops(self, topic: &str, what: &str) -> Stopped {
        let Busy { bank, node, sending } = self;
        let (changed, name) = (Instant::now(), bank.topics().name(topic));
        let (status, words) = spawn_blocking(|| node.end()).await.expect("it ends");
        assert!(changed.elapsed() < NOTICED_WITHIN, "it has ended after {:?}", changed.elapsed());
        let last = words.lines().last().expect("it has said why");
        assert_eq!(status.code(), Some(1), "{words}");
        assert!(last.contains(&name) && last.contains(what), "{last}");
        let concerns_clients = !OF_SERVICES.contains(&topic);
        if !concerns_clients {
            assert!(!sending.is_finished(), "the client has no reason to stop");
            bank.app.shutdown().await.expect("an orderly end");
        }
        let Unanswered { history, id } =
            timeout(NOTICED_WITHIN, sending).await.expect("sending ends").expect("sending does not panic");
        if concerns_clients {
            let stopped = timeout(NOTICED_WITHIN, bank.app.stopped()).await.expect("it stops");
            let stopped = stopped.expect_err("it has stopped by itself").to_string();
            assert!(stopped.contains(&name) && stopped.contains(what), "{stopped}");
            let refused = bank.accounts().deposit(KEY, 1).await.expect_err("it sends nothing any more").to_string();
            assert!(refused.contains(&name) && refused.contains(what), "{refused}");
        }
        Stopped { bank, history, unanswered: id, advice: last.to_owned() }
    }
}

/// A bank whose service has stopped.
struct Stopped {
    bank: Bank,
    history: History,
    unanswered: CommandId,
    advice: String,
}

impl Stopped {
    /// A service that starts is refused for the same reason.
    async fn refused(&self, topic: &str, what: &str) {
        let name = self.bank.topics().name(topic);
        let words = refusal(&self.bank).await;
        assert!(words.contains(&name) && words.contains(what), "{words}");
    }

    /// Serves again, and everything is as it must be.
    async fn goes_on(self) -> Row {
        let Stopped { bank, mut history, unanswered, .. } = self;
        let bank = bank.with_another_client().await;
        let node = bank.start("a").await;
        let answer = bank.accounts().deposit(KEY, 1).command_id(unanswered).await;
        history.sent(KEY, unanswered);
        history.answered(unanswered, Answer::of(&answer).expect("it is certain"));
        bank.is_served(&mut history).await;
        bank.check(history, vec![node]).await
    }

    /// Serves again, without anything from before.
    async fn starts_over(self) -> Row {
        let _ = broker().run_tool(command(&self.advice, "kafka-topics.sh"));
        let topics = self.bank.topics();
        while LOSING.iter().any(|(topic, ..)| topics.is_there(topic)) {
            sleep(Duration::from_millis(10)).await;
        }
        let bank = self.bank.with_another_client().await;
        let node = bank.start("a").await;
        let mut history = History::new();
        bank.is_served(&mut history).await;
        bank.stop(node).await;
        Row::new(self.history.count(), Aborted::default())
    }
}

async fn send_until_stopped(accounts: AccountClient, mut history: History) -> Unanswered {
    loop {
        let id = CommandId::new();
        history.sent(KEY, id);
        let answer = accounts.deposit(KEY, 1).command_id(id).await;
        match Answer::of(&answer) {
            Some(certain) => history.answered(id, certain),
            None => return Unanswered { history, id },
        }
    }
}

/// Why a service doesn't start.
async fn refusal(bank: &Bank) -> String {
    bank.refusal(PARTITIONS).await.expect("it is refused")
}

/// The command in these words that begins with this.
pub(crate) fn command<'a>(words: &'a str, begin: &str) -> &'a str {
    words.split('`').find(|part| part.starts_with(begin)).unwrap_or_else(|| panic!("there is no {begin} in: {words}"))
}

pub(crate) async fn deleted() -> Row {
    let mut row = Row::default();
    for (topic, _) in POLICIES {
        let busy = Busy::open().await;
        busy.bank.topics().delete(topic).await;
        let stopped = busy.stops(topic, "was deleted while the app was running").await;
        assert!(!stopped.bank.topics().is_there(topic), "somebody has made it again");
        stopped.refused(topic, "deleted and recreated").await;
        row = row.and(stopped.starts_over().await.with("topic deleted under a service", 1));
    }
    // Nothing depends on these.
    for topic in ["answer", "dead_letter"] {
        let busy = Busy::open().await;
        busy.bank.topics().delete(topic).await;
        let stopped = busy.stops(topic, "was deleted while the app was running").await;
        row = row.and(stopped.goes_on().await.with("recreated topic deleted under a service", 1));
    }
    row
}

pub(crate) async fn recreated() -> Row {
    let mut row = Row::default();
    for (topic, policy) in POLICIES {
        let busy = Busy::open().await;
        busy.bank.topics().delete(topic).await;
        busy.bank.topics().make(topic, policy).await;
        let stopped = busy.stops(topic, "deleted and recreated").await;
        if topic != "command_response" {
            stopped.refused(topic, "deleted and recreated").await;
        }
        row = row.and(stopped.starts_over().await.with("topic deleted and recreated under a service", 1));
    }
    row
}

pub(crate) async fn recreated_while_down() -> Row {
    let mut row = Row::default();
    for (topic, policy) in POLICIES {
        let bank = Bank::open().await;
        let node = bank.start("a").await;
        let history = bank.load().await.finish().await.history;
        bank.stop(node).await;
        bank.topics().delete(topic).await;
        bank.topics().make(topic, policy).await;
        let advice = refusal(&bank).await;
        assert!(advice.contains(&bank.topics().name(topic)) && advice.contains("deleted and recreated"), "{advice}");
        let stopped = Stopped { bank, history, unanswered: CommandId::new(), advice };
        row = row.and(stopped.starts_over().await.with("topic deleted and recreated before a start", 1));
    }
    row
}

pub(crate) async fn partitions_raised() -> Row {
    let mut row = Row::default();
    for (topic, ..) in LOSING {
        let busy = Busy::open().await;
        busy.bank.topics().raise_partitions(topic, PARTITIONS + 1).await;
        let what = format!("{} partitions, not {PARTITIONS}", PARTITIONS + 1);
        let stopped = busy.stops(topic, &what).await;
        stopped.refused(topic, &what).await;
        row = row.and(stopped.starts_over().await.with("number of partitions raised under a service", 1));
    }
    row
}

pub(crate) async fn policy_changed() -> Row {
    let mut row = Row::default();
    for (topic, policy, what) in LOSING {
        let busy = Busy::open().await;
        busy.bank.topics().set(topic, policy).await;
        let stopped = busy.stops(topic, what).await;
        stopped.refused(topic, what).await;
        // One at a time: setting a policy removes all others.
        let mut advice = Some(stopped.advice.clone());
        while let Some(words) = advice {
            let _ = broker().run_tool(command(&words, "kafka-configs.sh"));
            advice = stopped.bank.refusal(PARTITIONS).await;
        }
        row = row.and(stopped.goes_on().await.with("policy changed to one that loses records, and mended", 1));
    }
    row
}

/// All topics get more partitions, so that they still match each other.
pub(crate) async fn all_raised_while_down() -> Row {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let mut load = bank.load().await;
    load.progress(SOME).await;
    let history = load.finish().await.history;
    bank.stop(node).await;
    for (topic, ..) in LOSING {
        bank.topics().raise_partitions(topic, 2 * PARTITIONS).await;
    }
    let words = bank.refusal(2 * PARTITIONS).await.expect("it is refused");
    assert!(words.contains("had another number of partitions"), "{words}");
    Row::new(history.count(), Aborted::default()).with("number of partitions of all topics raised before a start", 1)
}
