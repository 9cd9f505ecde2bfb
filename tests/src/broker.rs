//! One real Apache Kafka broker for a test process: found, or else started.
//!
//! A test that needs Kafka asks [`Broker::start`]. The broker named by `KAFKA_BOOTSTRAP_SERVERS` is
//! used if that is set. Otherwise Maven fetches Kafka's jars, once, into cargo's target directory, and
//! a single node is started on free ports of 127.0.0.1, with its data in a fresh temporary directory.
//! It answers after some three seconds.
//!
//! A test of security starts one of its own, whose further listeners are for those who can say who they are, see
//! [`secured`].
//!
//! A broker started here ends with the test process, and its directory goes too, even when that
//! process aborts or is killed: a shell script (`tests/kafka/run-broker.sh`) owns them and waits for
//! its standard input to end, and the operating system sees to that. So a [`Broker`] may well live in
//! a `static`, which is never dropped.

use std::env;
use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::secured::{self, Secured};

/// Names the jars. Kafka's version stands there, and nowhere here.
const POM: &str = include_str!("../kafka/pom.xml");
const SERVER_PROPERTIES: &str = include_str!("../kafka/server.properties");
const LOG4J2_PROPERTIES: &str = include_str!("../kafka/log4j2.properties");
const RUN_BROKER: &str = include_str!("../kafka/run-broker.sh");

/// The oldest Java that runs a Kafka 4 broker.
const JAVA: u32 = 17;
/// How long a broker may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one connection or answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a broker is started that finds one of its ports taken.
const ATTEMPTS: u32 = 5;

/// Why no broker could be had, in words for the test report.
#[derive(Debug, Clone)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unavailable {}

/// A running Kafka 4 that tests may use. Dropping it ends a broker that was started here.
#[derive(Debug)]
pub struct Broker {
    bootstrap_servers: String,
    /// `None` for a broker that was there before.
    process: Option<BrokerProcess>,
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

    /// A broker of one's own, to be stopped, killed and cut off: always one that is started here. Whoever asks it at its
    /// [back entrance](Broker::back_entrance) for its address is told this port, where a proxy is to be.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] says what is missing or what failed.
    pub fn start_behind(proxy: u16) -> Result<Broker, Unavailable> {
        Broker::launch(&Listeners { proxy: Some(proxy), ..Listeners::default() })
    }

    /// A broker of one's own that knows these users, see [`secured`].
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
    /// When the broker was not started behind one; the same holds of what follows.
    #[must_use]
    pub fn back_entrance(&self) -> u16 {
        self.own().ports.proxied.expect("it was started behind a proxy")
    }

    pub(crate) fn secured(&self) -> &Secured {
        self.own().ports.secured.as_ref().expect("it was started with users")
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.own().directory
    }

    /// Sends a signal to the broker's JVM.
    ///
    /// # Panics
    ///
    /// When the broker was not started here.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.own().pid() as i32).expect("a process has a number");
        kill_process(pid, signal).expect("it is our process");
    }

    /// Waits until the JVM has ended, and says with what: 128 and the number of the signal where it was one.
    ///
    /// # Panics
    ///
    /// When it does not end.
    #[must_use]
    pub fn await_end(&self) -> u8 {
        let (exit, deadline) = (self.own().directory.join("exit"), Instant::now() + START_TIMEOUT);
        loop {
            if let Ok(status) = fs::read_to_string(&exit)
                && let Ok(status) = status.trim().parse()
            {
                return status;
            }
            assert!(Instant::now() < deadline, "the broker did not end");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the broker again, which has ended, on its data and its ports, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn restart(&self) {
        if let Err(StartError::PortTaken(why) | StartError::Other(why)) = self.own().launch() {
            panic!("{why}");
        }
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
        java.arg("-cp").arg(format!("{}/*", self.own().jars.display())).arg(class);
        // As a shell would: no word has a space in it.
        java.args(words.map(|word| word.trim_matches('\'')));
        let output = run(&mut java, "java").expect("it runs");
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{command_line}\n{out}\n{err}");
        out
    }

    fn own(&self) -> &BrokerProcess {
        self.process.as_ref().expect("the broker was started here")
    }

    fn existing(servers: String) -> Result<Broker, Unavailable> {
        let mut refusals = Vec::new();
        for server in servers.split(',').map(str::trim) {
            match connect(server) {
                Ok(_) => {
                    return Ok(Broker { bootstrap_servers: servers, process: None });
                }
                Err(error) => refusals.push(format!("{server}: {error}")),
            }
        }
        Err(Unavailable(format!("KAFKA_BOOTSTRAP_SERVERS={servers} does not answer: {}", refusals.join("; "))))
    }

    fn launch(listeners: &Listeners<'_>) -> Result<Broker, Unavailable> {
        require_java()?;
        let jars = kafka_jars()?;
        let mut attempt = 1;
        loop {
            match BrokerProcess::start(&jars, listeners) {
                Ok(process) => {
                    let bootstrap_servers = format!("127.0.0.1:{}", process.ports.direct);
                    return Ok(Broker { bootstrap_servers, process: Some(process) });
                }
                // Between our choice of a port and the broker's use of it, another process may take it.
                Err(StartError::PortTaken(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(StartError::PortTaken(why) | StartError::Other(why)) => {
                    return Err(Unavailable(why));
                }
            }
        }
    }
}

/// What a broker has beside the listener that is open to all.
#[derive(Default)]
struct Listeners<'a> {
    proxy: Option<u16>,
    /// Those who are let in by secured listeners; without any there are no such listeners.
    users: &'a [String],
}

enum StartError {
    PortTaken(String),
    Other(String),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Other(format!("cannot start Kafka: {error}"))
    }
}

/// A broker's JVM and directory, by way of the script that owns both.
#[derive(Debug)]
struct BrokerProcess {
    script: Child,
    directory: PathBuf,
    jars: PathBuf,
    cluster_id: String,
    ports: Ports,
}

/// Where a broker listens.
#[derive(Debug)]
struct Ports {
    direct: u16,
    /// What comes here is told the address of a proxy.
    proxied: Option<u16>,
    secured: Option<Secured>,
}

impl BrokerProcess {
    /// Starts a broker and waits until it answers.
    fn start(jars: &Path, listeners: &Listeners<'_>) -> Result<BrokerProcess, StartError> {
        // All are held at once, so that they differ.
        let free = [free_port()?, free_port()?, free_port()?, free_port()?, free_port()?];
        let mut ports = [0; 5];
        for (port, free) in ports.iter_mut().zip(&free) {
            *port = free.local_addr()?.port();
        }
        drop(free);
        let [direct, controller, proxied, trusted, expired] = ports;
        // 22 characters of base64, as Kafka wants it. No other live broker on this port has the same.
        let cluster_id = format!("{:0>11}{direct:0>10}A", process::id());

        let directory = tempfile::Builder::new().prefix("kafka-").tempdir()?;
        let (listener, advertised, further) = match listeners.proxy {
            Some(proxy) => (
                format!(",PROXIED://127.0.0.1:{proxied}"),
                format!(",PROXIED://127.0.0.1:{proxy}"),
                // As on many a broker: who asks for a topic that was deleted has it again, empty.
                "auto.create.topics.enable=true\n",
            ),
            None => Default::default(),
        };
        let secured =
            if listeners.users.is_empty() { None } else { Some(Secured::prepare(directory.path(), trusted, expired)?) };
        let also = secured.as_ref().map(Secured::listeners).unwrap_or_default();
        let properties = format!(
            "{SERVER_PROPERTIES}\n\
             listeners=PLAINTEXT://127.0.0.1:{direct},CONTROLLER://127.0.0.1:{controller}{listener}{also}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{direct}{advertised}{also}\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             {further}{}",
            secured.as_ref().map(|_| secured::PROPERTIES).unwrap_or_default()
        );
        fs::write(directory.path().join("server.properties"), properties)?;
        fs::write(directory.path().join("log4j2.properties"), LOG4J2_PROPERTIES)?;

        let mut shell = Command::new("sh");
        shell.args(["-c", RUN_BROKER, "run-broker.sh"]);
        shell.arg(directory.path()).arg(jars).arg(&cluster_id);
        shell.args(listeners.users.iter().flat_map(|user| secured::format_options(user)));
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A Ctrl-C, or a harness that kills the tests' process group, must not take the script along.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let script = shell.spawn().map_err(|error| StartError::Other(format!("cannot run sh: {error}")))?;
        let ports = Ports { direct, proxied: listeners.proxy.map(|_| proxied), secured };
        let process = BrokerProcess { script, directory: directory.keep(), jars: jars.to_owned(), cluster_id, ports };
        process.launch()?;
        Ok(process)
    }

    /// Has the script run the JVM, and waits until that answers.
    fn launch(&self) -> Result<(), StartError> {
        // What is there of an earlier run must not be taken for this one's.
        let exit = self.directory.join("exit");
        if exit.exists() {
            fs::remove_file(&exit)?;
        }
        let mut script = self.script.stdin.as_ref().ok_or_else(|| io::Error::other("the script has ended"))?;
        script.write_all(b"start\n")?;
        let deadline = Instant::now() + START_TIMEOUT;
        while !answers(self.ports.direct, &self.cluster_id).unwrap_or(false) {
            if exit.exists() {
                let log = self.log();
                let why = format!("Kafka ended at its start; its log ends:\n{}", tail(&log));
                return Err(if log.contains("Address already in use") {
                    StartError::PortTaken(why)
                } else {
                    StartError::Other(why)
                });
            }
            if Instant::now() > deadline {
                return Err(StartError::Other(format!(
                    "Kafka did not answer on port {} within {START_TIMEOUT:?}; its log ends:\n{}",
                    self.ports.direct,
                    tail(&self.log())
                )));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Of the JVM, which is up.
    fn pid(&self) -> u32 {
        let pid = fs::read_to_string(self.directory.join("pid")).expect("the script writes it");
        pid.trim().parse().expect("it is a number")
    }

    fn log(&self) -> String {
        // Either may not be there yet.
        ["console.log", "server.log"]
            .map(|name| fs::read_to_string(self.directory.join(name)).unwrap_or_default())
            .concat()
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // Nothing can be done about a failure, and the script goes on without us.
        let _ = self.script.wait();
    }
}

/// Whether the broker of that cluster is on that port and has itself in its cluster's metadata, which
/// is when it takes clients' requests.
fn answers(port: u16, cluster_id: &str) -> io::Result<bool> {
    let mut connection = connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    // A Metadata request, version 2, about no topics.
    connection.write_all(&[
        0, 0, 0, 14, // length of what follows
        0, 3, 0, 2, // which request, and its version
        0, 0, 0, 7, // correlation id
        255, 255, // no client id
        0, 0, 0, 0, // number of topics
    ])?;
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let mut answer = Vec::new();
    connection.take(u32::from_be_bytes(length).into()).read_to_end(&mut answer)?;
    // It begins with the correlation id and the number of brokers; the cluster's id follows them.
    Ok(answer.starts_with(&[0, 0, 0, 7, 0, 0, 0, 1])
        && answer.windows(cluster_id.len()).any(|part| part == cluster_id.as_bytes()))
}

pub(crate) fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let mut result = Err(io::Error::other("the name has no address"));
    for address in address.to_socket_addrs()? {
        result = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn free_port() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

fn require_java() -> Result<(), Unavailable> {
    let output = run(Command::new("java").arg("-version"), &format!("Java {JAVA} or newer"))?;
    // As in: openjdk version "17.0.15" 2025-04-15
    let text = String::from_utf8_lossy(&output.stderr);
    let version = text.split_once("version \"").map_or("", |(_, rest)| rest);
    let digits = version.split(|c: char| !c.is_ascii_digit()).next();
    match digits.and_then(|digits| digits.parse::<u32>().ok()) {
        Some(major) if major >= JAVA => Ok(()),
        _ => Err(Unavailable(format!("Java {JAVA} or newer is not on the PATH, but:\n{}", tail(&text)))),
    }
}

/// The directory of Kafka's jars, which Maven fills if they are not there yet.
pub(crate) fn kafka_jars() -> Result<PathBuf, Unavailable> {
    // Other jars, other directory: a changed pom.xml never meets the jars of the one before.
    let mut hasher = DefaultHasher::new();
    POM.hash(&mut hasher);
    let jars = target_directory().join(format!("kafka-jars-{:016x}", hasher.finish()));
    if !jars.exists() {
        fetch_jars(&jars)?;
    }
    Ok(jars)
}

fn fetch_jars(jars: &Path) -> Result<(), Unavailable> {
    let failed = |error: io::Error| Unavailable(format!("cannot fetch Kafka's jars to {}: {error}", jars.display()));
    let target = target_directory();
    fs::create_dir_all(&target).map_err(failed)?;
    // One process fetches, and others wait for it here; the lock goes with the process that held it.
    let lock = File::create(jars.with_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if jars.exists() {
        return Ok(());
    }
    let incoming = tempfile::Builder::new().prefix("kafka-incoming-").tempdir_in(target).map_err(failed)?;
    let (pom, lib) = (incoming.path().join("pom.xml"), incoming.path().join("lib"));
    fs::write(&pom, POM).map_err(failed)?;
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", "-Dstyle.color=never", "--file"]).arg(pom);
    maven.arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", lib.display()));
    let output = run(&mut maven, "Maven")?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        return Err(Unavailable(format!(
            "Maven could not fetch Kafka's jars ({}):\n{}",
            output.status,
            tail(&String::from_utf8_lossy(&text))
        )));
    }
    // All of them appear at once, so a directory that is there is complete.
    fs::rename(lib, jars).map_err(failed)
}

/// Cargo's target directory, as far as a test can tell.
fn target_directory() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.parent().unwrap_or(package);
    // An absolute path stays as it is.
    workspace.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

pub(crate) fn run(command: &mut Command, what: &str) -> Result<Output, Unavailable> {
    command.stdin(Stdio::null()).output().map_err(|error| {
        Unavailable(if error.kind() == io::ErrorKind::NotFound {
            format!("{what} is not on the PATH")
        } else {
            format!("cannot run {what}: {error}")
        })
    })
}

/// The last 20 lines.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
