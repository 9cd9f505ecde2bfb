//! One real Apache Kafka broker for a test process: an existing one, or one that is started.
//!
//! A test that needs Kafka calls [`Broker::start`]. It uses the broker named by `KAFKA_BOOTSTRAP_SERVERS`, if that is
//! set. Otherwise Maven fetches Kafka's jars once, into cargo's target directory, and a single node is started on free
//! ports of 127.0.0.1, with its data in a fresh temporary directory. It answers after about three seconds.
//!
//! A security test starts its own broker, with more listeners for authenticated clients, see [`secured`].
//!
//! A test of what happens to the others when a broker is lost starts a [`Cluster`] of three.
//!
//! A broker started here ends with the test process, and its directory goes too, even when that
//! process aborts or is killed: a shell script (`tests/kafka/run-broker.sh`) owns them and waits for
//! its standard input to end, and the operating system sees to that. So a [`Broker`] may well live in
//! a `static`, which is never dropped.

mod cluster;
mod jars;
mod process;

use std::env;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

pub use cluster::{Cluster, Role};
pub(crate) use jars::{kafka_jars, run};
pub(crate) use process::connect;

use self::process::{BrokerProcess, StartError};
pub use crate::needing::Unavailable;
use crate::{
    clock::Clock,
    secured::{self, Secured},
};

/// A running Kafka 4 that tests may use. Dropping it ends a broker that was started here.
#[derive(Debug)]
pub struct Broker {
    bootstrap_servers: String,
    /// `None` for a broker that already existed.
    own: Option<Own>,
}

impl Broker {
    /// The broker of this run.
    ///
    /// That is the one named by `KAFKA_BOOTSTRAP_SERVERS`, which must accept a connection, or if that
    /// is unset or empty, one started from Maven's jars.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] says what is missing or what failed.
    pub fn start() -> Result<Broker, Unavailable> {
        match env::var("KAFKA_BOOTSTRAP_SERVERS") {
            Ok(servers) if !servers.trim().is_empty() => Broker::existing(servers),
            _ => Broker::launch(&Listeners::default()),
        }
    }

    /// A broker for one test, which may stop, kill and cut it off: always one that is started here. Clients that ask
    /// for its address at its [back entrance](Broker::back_entrance) are told this port, where a proxy must listen.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] says what is missing or what failed.
    pub fn start_behind(proxy: u16) -> Result<Broker, Unavailable> {
        Broker::launch(&Listeners { proxy: Some(proxy), ..Listeners::default() })
    }

    /// A broker for one test, always started here, in the cluster with this id: 22 characters of base64.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] says what is missing or what failed.
    pub fn start_as_cluster(id: &str) -> Result<Broker, Unavailable> {
        Broker::launch(&Listeners { cluster_id: Some(id), ..Listeners::default() })
    }

    /// A broker for one test that uses this clock.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] says what is missing or what failed.
    pub fn start_by(clock: &Clock) -> Result<Broker, Unavailable> {
        Broker::launch(&Listeners { clock: Some(clock), ..Listeners::default() })
    }

    /// A broker for one test that knows these users, see [`secured`].
    pub(crate) fn start_secured(users: &[String]) -> Result<Broker, Unavailable> {
        Broker::launch(&Listeners { users, ..Listeners::default() })
    }

    /// What a Kafka client takes as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The port that a proxy forwards to.
    ///
    /// # Panics
    ///
    /// When the broker was not started behind one; the same is true for what follows.
    #[must_use]
    pub fn back_entrance(&self) -> u16 {
        self.own().proxied.expect("it was started behind a proxy")
    }

    pub(crate) fn secured(&self) -> &Secured {
        self.own().secured.as_ref().expect("it was started with users")
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.own().process.directory
    }

    /// Sends a signal to the broker's JVM.
    ///
    /// # Panics
    ///
    /// When the broker was not started here.
    pub fn signal(&self, signal: Signal) {
        self.own().process.signal(signal);
    }

    /// Waits until the JVM has ended, and returns its exit code: 128 plus the signal number if a signal ended it.
    ///
    /// # Panics
    ///
    /// When it does not end.
    #[must_use]
    pub fn await_end(&self) -> u8 {
        self.own().process.await_end()
    }

    /// Restarts the broker, which has ended, on its data and its ports, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn restart(&self) {
        self.own().process.restart(1);
    }

    /// Runs a command line of Kafka's own tools, such as `kafka-topics.sh --bootstrap-server ...`, and returns what it
    /// prints.
    ///
    /// # Panics
    ///
    /// When it is none, or fails.
    #[must_use]
    pub fn run_tool(&self, command_line: &str) -> String {
        let mut words = command_line.split_whitespace();
        let class = match words.next() {
            Some("kafka-configs.sh") => "kafka.admin.ConfigCommand",
            Some("kafka-topics.sh") => "org.apache.kafka.tools.TopicCommand",
            Some("kafka-transactions.sh") => "org.apache.kafka.tools.TransactionsCommand",
            other => panic!("{other:?} is no tool"),
        };
        let mut java = Command::new("java");
        java.arg("-cp").arg(format!("{}/*", self.own().process.jars.display())).arg(class);
        // As in a shell, but no word contains a space.
        java.args(words.map(|word| word.trim_matches('\'')));
        let output = run(&mut java, "java").expect("it runs");
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{command_line}\n{out}\n{err}");
        out
    }

    fn own(&self) -> &Own {
        self.own.as_ref().expect("the broker was started here")
    }

    fn existing(servers: String) -> Result<Broker, Unavailable> {
        let mut refusals = Vec::new();
        for server in servers.split(',').map(str::trim) {
            match connect(server) {
                Ok(_) => {
                    return Ok(Broker { bootstrap_servers: servers, own: None });
                }
                Err(error) => refusals.push(format!("{server}: {error}")),
            }
        }
        Err(Unavailable(format!("KAFKA_BOOTSTRAP_SERVERS={servers} does not answer: {}", refusals.join("; "))))
    }

    fn launch(listeners: &Listeners<'_>) -> Result<Broker, Unavailable> {
        let own = process::start(|jars| Own::start(jars, listeners))?;
        Ok(Broker { bootstrap_servers: format!("127.0.0.1:{}", own.process.port), own: Some(own) })
    }
}

/// What a broker has besides the listener that is open to all, and its clock.
#[derive(Default)]
struct Listeners<'a> {
    proxy: Option<u16>,
    /// A unique one, unless it is given.
    cluster_id: Option<&'a str>,
    /// The users of the secured listeners; without any there are no such listeners.
    users: &'a [String],
    /// The machine's clock, unless there is one.
    clock: Option<&'a Clock>,
}

/// A broker that was started here, and where it listens beside.
#[derive(Debug)]
struct Own {
    process: BrokerProcess,
    /// Clients that connect here are told the address of a proxy.
    proxied: Option<u16>,
    secured: Option<Secured>,
}

impl Own {
    /// Starts a broker and waits until it answers.
    fn start(jars: &Path, listeners: &Listeners<'_>) -> Result<Own, StartError> {
        let [direct, controller, proxied, trusted, expired] = process::free_ports()?;
        let directory = process::directory()?;
        let (listener, advertised, further) = match listeners.proxy {
            Some(proxy) => (
                format!(",PROXIED://127.0.0.1:{proxied}"),
                format!(",PROXIED://127.0.0.1:{proxy}"),
                // As on many brokers: asking for a deleted topic recreates it, empty.
                "auto.create.topics.enable=true\n",
            ),
            None => Default::default(),
        };
        let secured =
            if listeners.users.is_empty() { None } else { Some(Secured::prepare(directory.path(), trusted, expired)?) };
        let also = secured.as_ref().map(Secured::listeners).unwrap_or_default();
        let properties = format!(
            "listeners=PLAINTEXT://127.0.0.1:{direct},CONTROLLER://127.0.0.1:{controller}{listener}{also}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{direct}{advertised}{also}\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             {further}{}",
            secured.as_ref().map(|_| secured::PROPERTIES).unwrap_or_default()
        );
        let format_options = listeners.users.iter().flat_map(|user| secured::format_options(user));
        let cluster_id = listeners.cluster_id.map_or_else(|| process::cluster_id(direct), str::to_owned);
        let environment = listeners.clock.iter().flat_map(|clock| clock.environment());
        let process =
            BrokerProcess::prepare(jars, directory, &cluster_id, direct, &properties, format_options, environment)?;
        process.launch()?;
        process.await_answer(1)?;
        Ok(Own { process, proxied: listeners.proxy.map(|_| proxied), secured })
    }
}
