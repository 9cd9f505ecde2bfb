//! What every fault is built on: the broker behind its proxy, and for each round a bank on topics of its own.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
};
use rustix::process::Signal;
use simple_sourcing::{Settings, prelude::*};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    bank::{
        self, Done, Load,
        domain::{AccountClient, AccountCommand},
    },
    broker::{Broker, Cluster, Unavailable},
    checker::{self, History},
    node::{Node, Refused},
    on_broker::fresh_prefix,
    proxy::Proxy,
    topics::Topics,
};
use tokio::{task::spawn_blocking, time::sleep};

use crate::table::Row;

/// The service process: `tests/src/bin/node.rs`.
pub(crate) const NODE: &str = env!("CARGO_BIN_EXE_node");

pub(crate) const PARTITIONS: u32 = 4;
const ACCOUNTS: u64 = 100;
const IN_FLIGHT: usize = 100;

/// A load of this size is enough to rely on.
pub(crate) const SOME: usize = 1000;

/// The session timeout of a service process in its group, after which the broker notices its end.
pub(crate) const SESSION_MS: u64 = 3000;

/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The broker and its proxy.
pub(crate) struct Ground {
    pub(crate) broker: Broker,
    pub(crate) proxy: Proxy,
}

/// Those of this run. The broker ends with the process.
pub(crate) fn ground() -> Result<&'static Ground, &'static Unavailable> {
    static GROUND: OnceLock<Result<Ground, Unavailable>> = OnceLock::new();
    let start = || {
        let proxy = Proxy::start().map_err(|error| Unavailable(format!("the proxy can't be started: {error}")))?;
        let broker = Broker::start_behind(proxy.port())?;
        proxy.forward_to(broker.back_entrance());
        Ok(Ground { broker, proxy })
    };
    GROUND.get_or_init(start).as_ref()
}

pub(crate) fn broker() -> &'static Broker {
    &ground().expect("trials run only where there is a broker").broker
}

pub(crate) fn proxy() -> &'static Proxy {
    &ground().expect("trials run only where there is a broker").proxy
}

/// How a service process reaches the broker.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Itself,
    Proxy,
}

/// Limits of clients and services that differ from the defaults, in seconds.
#[derive(Clone, Copy, Default)]
struct Limits {
    window: Option<u64>,
    ahead: Option<u64>,
}

/// Topics with accounts, and a client.
pub(crate) struct Bank {
    prefix: String,
    pub(crate) app: AppHandle,
    limits: Limits,
    left_out: Vec<String>,
    /// The app that serves, by name.
    service: &'static str,
    /// Where the check reads.
    servers: String,
}

impl Bank {
    pub(crate) async fn open() -> Self {
        Bank::open_at(broker().bootstrap_servers(), Limits::default()).await
    }

    /// One that remembers command ids for only this many seconds.
    pub(crate) async fn open_with_window(window: u64) -> Self {
        Bank::open_at(broker().bootstrap_servers(), Limits { window: Some(window), ..Limits::default() }).await
    }

    /// One on another broker, whose clients may be this far ahead of its time.
    pub(crate) async fn open_behind(broker: &Broker, ahead: Duration) -> Self {
        Bank::open_at(broker.bootstrap_servers(), Limits { ahead: Some(ahead.as_secs()), ..Limits::default() }).await
    }

    /// One on a cluster of three.
    pub(crate) async fn open_on(cluster: &Cluster) -> Self {
        Bank::open_at(&cluster.bootstrap_servers(), Limits::default()).await
    }

    async fn open_at(servers: &str, limits: Limits) -> Self {
        let prefix = fresh_prefix("faults");
        let app = client(servers, &prefix, limits).await;
        Bank { app, prefix, limits, left_out: Vec::new(), service: "bank", servers: servers.to_owned() }
    }

    /// One on another broker, with its client.
    #[cfg(feature = "security")]
    pub(crate) fn on(broker: &Broker, prefix: String, app: AppHandle) -> Self {
        let (limits, servers) = (Limits::default(), broker.bootstrap_servers().to_owned());
        Bank { app, prefix, limits, left_out: Vec::new(), service: "bank", servers }
    }

    pub(crate) fn accounts(&self) -> AccountClient {
        self.app.client()
    }

    /// The prefix of its topics.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The group of the service processes.
    pub(crate) fn group(&self) -> String {
        format!("{}{}", self.prefix, self.service)
    }

    /// The topics of the accounts.
    pub(crate) fn topics(&self) -> Topics {
        self.topics_of("account")
    }

    /// The topics of the other aggregate types.
    pub(crate) fn topics_of(&self, aggregate: &str) -> Topics {
        Topics::of(&self.servers, &self.prefix, aggregate, PARTITIONS)
    }

    /// Excludes this account from the check: its records were damaged for good.
    pub(crate) fn leave_out(&mut self, key: &str) {
        self.left_out.push(key.to_owned());
    }

    /// The same, served by an app of this name from now on.
    pub(crate) fn served_by(self, service: &'static str) -> Self {
        Bank { service, ..self }
    }

    /// A client that shares nothing with the bank's own.
    pub(crate) async fn another_client(&self) -> AppHandle {
        client(&self.servers, &self.prefix, self.limits).await
    }

    /// The same with a new client instead of one that has ended.
    pub(crate) async fn with_another_client(self) -> Self {
        Bank { app: client(&self.servers, &self.prefix, self.limits).await, ..self }
    }

    /// Deletes and recreates all topics.
    pub(crate) async fn recreated(self) -> Self {
        let Bank { prefix, app, limits, left_out, service, servers } = self;
        app.shutdown().await.expect("an orderly end");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker().bootstrap_servers());
        let admin: AdminClient<_> = config.create().expect("a client can be had");
        let names = ["command_request", "event", "aggregate", "command_response", "answer", "dead_letter"];
        let names = names.map(|name| format!("{prefix}account-{name}"));
        let deleted = admin.delete_topics(&names.each_ref().map(String::as_str), &AdminOptions::new()).await;
        for topic in deleted.expect("they can be deleted") {
            topic.expect("it can be deleted");
        }
        let is_there = |names: &[String]| {
            let metadata = admin.inner().fetch_metadata(None, PATIENCE).expect("the broker answers");
            metadata.topics().iter().any(|topic| names.iter().any(|name| name == topic.name()))
        };
        while is_there(&names) {
            sleep(Duration::from_millis(10)).await;
        }
        Bank { app: client(&servers, &prefix, limits).await, prefix, limits, left_out, service, servers }
    }

    /// Starts a service process of this name and waits until it serves.
    pub(crate) fn node(&self, name: &str, by: By) -> Node {
        self.node_in(name, by, &[])
    }

    /// One with further options.
    pub(crate) fn node_with(&self, options: &[&str]) -> Node {
        let arguments = self.arguments(Some("a"), By::Itself);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(options.iter().copied()).collect();
        Node::start(NODE, &arguments).expect("it starts")
    }

    /// One with further options, whatever happens to it.
    pub(crate) fn spawn_with(&self, options: &[&str]) -> Node {
        let arguments = self.arguments(Some("a"), By::Itself);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(options.iter().copied()).collect();
        Node::spawn(NODE, &arguments, &[])
    }

    /// One without a name: each start of it is a new member of the group.
    pub(crate) fn nameless_node(&self) -> Node {
        self.start_in(None, By::Itself, &[])
    }

    /// One with environment variables.
    pub(crate) fn node_in(&self, name: &str, by: By, environment: &[(&str, &str)]) -> Node {
        self.start_in(Some(name), by, environment)
    }

    /// One with a local store in this directory, which its two workers share.
    pub(crate) fn storing_node(&self, name: &str, store: &Path) -> Node {
        let arguments = self.storing(name, store);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Node::start(NODE, &arguments).expect("it starts")
    }

    /// A standby for others, with its copies in this directory. It starts while others keep running.
    pub(crate) async fn standby_node(&self, name: &str, store: &Path) -> Node {
        let mut arguments = self.storing(name, store);
        arguments.push("standby=true".to_owned());
        started(arguments).await
    }

    fn storing(&self, name: &str, store: &Path) -> Vec<String> {
        let mut arguments = self.arguments(Some(name), By::Itself);
        arguments.extend([format!("store={}", store.display()), "workers=2".to_owned()]);
        arguments
    }

    fn start_in(&self, name: Option<&str>, by: By, environment: &[(&str, &str)]) -> Node {
        let arguments = self.arguments(name, by);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Node::start_in(NODE, &arguments, environment).expect("it starts")
    }

    /// Starts a service process while others keep running, and waits until it serves.
    pub(crate) async fn start(&self, name: &str) -> Node {
        started(self.arguments(Some(name), By::Itself)).await
    }

    /// Tries to start a service process with this many partitions. Returns why it doesn't start; if it does, it has
    /// ended again.
    pub(crate) async fn refusal(&self, partitions: u32) -> Option<String> {
        let mut arguments = self.arguments(Some("a"), By::Itself);
        arguments[3] = partitions.to_string();
        let started = attempted(arguments).await;
        started.map(|node| assert!(node.terminate().success(), "SIGTERM is an orderly end")).err()
    }

    /// Tries to start a service process of this app, with further options. The error says why it doesn't start.
    pub(crate) async fn attempt(&self, app: &str, options: &[&str]) -> Result<Node, String> {
        let mut arguments = self.arguments(Some(app), By::Itself);
        arguments.push(format!("app={app}"));
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        attempted(arguments).await
    }

    /// Shuts down a service process while others keep running.
    pub(crate) async fn stop(&self, node: Node) {
        let status = spawn_blocking(|| node.terminate()).await.expect("it ends");
        assert!(status.success(), "SIGTERM is an orderly end, not: {status}");
    }

    fn arguments(&self, name: Option<&str>, by: By) -> Vec<String> {
        let servers = match by {
            By::Itself => self.servers.clone(),
            By::Proxy => format!("127.0.0.1:{}", proxy().port()),
        };
        let mut arguments = vec!["kafka".into(), servers, self.prefix.clone(), PARTITIONS.to_string()];
        arguments.extend(name.map(|name| format!("instance={name}")));
        arguments.push(format!("session.timeout.ms={SESSION_MS}"));
        let Limits { window, ahead } = self.limits;
        arguments.extend(window.map(|seconds| format!("window={seconds}")));
        arguments.extend(ahead.map(|seconds| format!("ahead={seconds}")));
        arguments
    }

    /// A load that has just begun.
    pub(crate) fn begin_load(&self) -> Load {
        Load::start(self.accounts(), bank::plan(ACCOUNTS), IN_FLIGHT)
    }

    /// A load that is well under way.
    pub(crate) async fn load(&self) -> Load {
        let mut load = self.begin_load();
        load.progress(SOME).await;
        load
    }

    /// Waits until every partition is served, by any process.
    pub(crate) async fn is_served(&self, history: &mut History) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut ahead: BTreeSet<u32> = (0..PARTITIONS).collect();
        while !ahead.is_empty() {
            let key = format!("served-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            let id = CommandId::new();
            history.sent(&key, id);
            let accounts = self.accounts();
            let receipt = accounts.open(key, "Nobody".to_owned()).command_id(id).await.expect("it comes to be served");
            history.answered(id, checker::Answer::Accepted(receipt.sequence));
            ahead.remove(&receipt.position.partition);
        }
    }

    /// Ends a load, and checks it, and everything else that was sent.
    pub(crate) async fn check_load(self, load: Load, more: History, nodes: Vec<Node>) -> Row {
        let Done { mut history, longest, .. } = load.finish().await;
        history.and(more);
        let mut row = self.check(history, nodes).await;
        row = row.answered_within(longest);
        row
    }

    /// Shuts down the service processes, and checks what is left.
    pub(crate) async fn check(self, mut history: History, nodes: Vec<Node>) -> Row {
        let group = self.group();
        let keys = history.keys().into_iter().filter(|key| !self.left_out.contains(key));
        let served = bank::served(&self.app, keys).await;
        self.app.shutdown().await.expect("an orderly end");
        for node in nodes {
            node.signal(Signal::TERM);
            let (status, words) = node.end();
            assert!(status.success(), "SIGTERM is an orderly end, not: {status} {words}");
        }
        let read = move || checker::read(&self.servers, &self.prefix, "account", &group);
        let mut topics = spawn_blocking(read).await.expect("they can be read");
        self.left_out.iter().for_each(|key| history.leave_out(key, &mut topics));
        bank::check_kafka(&history, &topics, &served);
        Row::new(history.count(), topics.aborted)
    }
}

async fn attempted(arguments: Vec<String>) -> Result<Node, String> {
    let start = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Node::start(NODE, &arguments).map_err(|Refused(words)| words)
    };
    spawn_blocking(start).await.expect("it does not panic")
}

async fn started(arguments: Vec<String>) -> Node {
    let start = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Node::start(NODE, &arguments).expect("it starts")
    };
    spawn_blocking(start).await.expect("it starts")
}

async fn client(servers: &str, prefix: &str, limits: Limits) -> AppHandle {
    let kafka = Kafka::new(servers).prefix(prefix).partitions(PARTITIONS);
    let set = |settings: &mut Settings| {
        if let Some(seconds) = limits.window {
            settings.deduplication_window = Duration::from_secs(seconds);
        }
        if let Some(seconds) = limits.ahead {
            settings.clock_ahead_max = Duration::from_secs(seconds);
        }
    };
    let app = App::new("bank").contract_with::<AccountCommand>(|options| options.settings(set));
    app.start(kafka).await.expect("the client starts")
}
