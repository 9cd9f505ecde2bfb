//! Three real Apache Kafka brokers, each with a JVM that can be killed and started again.

use std::time::{Duration, Instant};
use std::{io, path::Path, thread};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;

use super::Unavailable;
use super::process::{self, BrokerProcess, StartError, ask};

const PROPERTIES: &str = include_str!("../../kafka/cluster.properties");

const BROKERS: u8 = 3;

/// The exit code of the script for a JVM that was killed.
const KILLED: u8 = 128 + 9;

/// How long the brokers may take for an answer, and until one of them has another's role.
const PATIENCE: Duration = Duration::from_secs(60);

/// The request for the coordinator of something, and how its answer says that there is one.
const FIND_COORDINATOR: u8 = 10;
const NO_ERROR: &[u8] = &[0, 0];

/// A running Kafka 4 cluster of three brokers, which are also controllers, numbered from 1. Topics, offsets and
/// transactions are on all of them, and a write is acknowledged by at least two. Dropping it stops them.
#[derive(Debug)]
pub struct Cluster {
    brokers: Vec<BrokerProcess>,
}

/// What one broker is for the others.
#[derive(Debug)]
pub enum Role {
    /// It leads a partition of a topic.
    Leader {
        /// The name.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// It coordinates the transactions under a transactional id.
    TransactionCoordinator(String),
    /// It coordinates a group.
    GroupCoordinator(String),
}

/// # Panics
/// The brokers that are up answer in time.
impl Cluster {
    /// Starts the brokers from Maven's jars, and waits until each one knows all of them.
    ///
    /// # Errors
    /// [`Unavailable`] says what is missing or what failed.
    pub fn start() -> Result<Cluster, Unavailable> {
        process::start(Cluster::launch)
    }

    fn launch(jars: &Path) -> Result<Cluster, StartError> {
        let ports: [u16; 2 * BROKERS as usize] = process::free_ports()?;
        let (direct, controllers) = ports.split_at(BROKERS.into());
        let voters: Vec<_> = (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let (voters, cluster_id) = (voters.join(","), process::cluster_id(direct[0]));
        let prepare = |(id, (&port, controller)): (u32, (&u16, &u16))| {
            let properties = format!(
                "{PROPERTIES}\n\
                 node.id={id}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
                 controller.quorum.voters={voters}\n"
            );
            BrokerProcess::prepare(jars, process::directory()?, &cluster_id, port, &properties, [], [])
        };
        let brokers: Result<Vec<_>, _> = (1..).zip(direct.iter().zip(controllers)).map(prepare).collect();
        let cluster = Cluster { brokers: brokers? };
        // None of them answers before two are up.
        cluster.brokers.iter().try_for_each(BrokerProcess::launch)?;
        cluster.brokers.iter().try_for_each(|broker| broker.await_answer(BROKERS))?;
        Ok(cluster)
    }

    /// What a Kafka client takes as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        let servers: Vec<_> = self.brokers.iter().map(|broker| format!("127.0.0.1:{}", broker.port)).collect();
        servers.join(",")
    }

    /// SIGKILLs the JVM of a broker, and waits until it has ended.
    pub fn kill(&self, broker: u32) {
        self.broker(broker).signal(Signal::KILL);
        assert_eq!(self.broker(broker).await_end(), KILLED, "it did not end by the signal");
    }

    /// Restarts a broker that has ended, on its data and its ports, and waits until all know about it.
    pub fn restart(&self, broker: u32) {
        self.broker(broker).restart(BROKERS);
    }

    /// The broker that has a role, as soon as there is one.
    #[must_use]
    pub fn holder(&self, role: &Role) -> u32 {
        self.await_holder(role, |_| true)
    }

    /// Waits until another broker has a role.
    pub fn await_successor(&self, role: &Role, of: u32) {
        let _ = self.await_holder(role, |broker| broker != of);
    }

    fn await_holder(&self, role: &Role, is_it: impl Fn(u32) -> bool) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let holder = match role {
                Role::Leader { topic, partition } => self.leader(topic, *partition),
                Role::TransactionCoordinator(id) => self.coordinator(id, 1),
                Role::GroupCoordinator(id) => self.coordinator(id, 0),
            };
            match holder.filter(|&broker| is_it(broker)) {
                Some(broker) => return broker,
                None => assert!(Instant::now() < deadline, "{role:?} is {holder:?} for {PATIENCE:?}"),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn leader(&self, topic: &str, partition: u32) -> Option<u32> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap_servers());
        let client: BaseConsumer = config.create().expect("a client can be had");
        let metadata = client.fetch_metadata(Some(topic), PATIENCE).expect("a broker answers");
        let partitions = metadata.topics().first()?.partitions();
        let leader = partitions.iter().find(|it| it.id() == partition as i32)?.leader();
        u32::try_from(leader).ok()
    }

    /// As the first says that answers.
    fn coordinator(&self, id: &str, kind: u8) -> Option<u32> {
        self.brokers.iter().find_map(|broker| find_coordinator(broker.port, id, kind).ok())
    }

    fn broker(&self, number: u32) -> &BrokerProcess {
        &self.brokers[number as usize - 1]
    }
}

fn find_coordinator(port: u16, id: &str, kind: u8) -> io::Result<u32> {
    let mut request = (id.len() as u16).to_be_bytes().to_vec();
    request.extend(id.bytes());
    request.push(kind);
    let answer = ask(port, FIND_COORDINATOR, 1, &request)?;
    // For how long it was held back, the error, and that in words, before which stands how many bytes it has.
    let number = || {
        let (error, rest) = answer.get(4..)?.split_at_checked(2)?;
        let (length, rest) = rest.split_first_chunk().filter(|_| error == NO_ERROR)?;
        let message = i16::from_be_bytes(*length).max(0);
        rest.get(message as usize..)?.first_chunk().map(|number| u32::from_be_bytes(*number))
    };
    number().ok_or_else(|| io::Error::other("there is no coordinator"))
}
