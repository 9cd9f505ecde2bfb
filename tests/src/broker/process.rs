//! The JVM and the directory of a broker, through the script that owns both.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    Unavailable,
    jars::{kafka_jars, require_java, tail},
};

const SERVER_PROPERTIES: &str = include_str!("../../kafka/server.properties");
const LOG4J2_PROPERTIES: &str = include_str!("../../kafka/log4j2.properties");
const RUN_BROKER: &str = include_str!("../../kafka/run-broker.sh");

/// How long a broker may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one connection or answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often to start a broker that finds one of its ports taken.
const ATTEMPTS: u32 = 5;

/// The request about brokers and topics.
const METADATA: u8 = 3;
/// What marks an answer as the one to our request.
const CORRELATION_ID: [u8; 4] = [0, 0, 0, 7];

#[derive(Debug)]
pub(super) enum StartError {
    PortTaken(String),
    Other(String),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Other(format!("cannot start Kafka: {error}"))
    }
}

/// Starts something with Kafka's jars, and tries again if a port was taken.
pub(super) fn start<T>(launch: impl Fn(&Path) -> Result<T, StartError>) -> Result<T, Unavailable> {
    require_java()?;
    let jars = kafka_jars()?;
    let mut attempt = 1;
    loop {
        match launch(&jars) {
            Ok(started) => return Ok(started),
            // Another process may take a port between our choice and the broker's use of it.
            Err(StartError::PortTaken(_)) if attempt < ATTEMPTS => attempt += 1,
            Err(StartError::PortTaken(why) | StartError::Other(why)) => return Err(Unavailable(why)),
        }
    }
}

#[derive(Debug)]
pub(super) struct BrokerProcess {
    script: Child,
    pub(super) directory: PathBuf,
    pub(super) jars: PathBuf,
    cluster_id: String,
    /// Where it listens to all.
    pub(super) port: u16,
}

impl BrokerProcess {
    /// A broker with these properties in addition to the common ones. It is not running yet.
    pub(super) fn prepare(
        jars: &Path,
        directory: TempDir,
        cluster_id: &str,
        port: u16,
        properties: &str,
        format_options: impl IntoIterator<Item = String>,
        environment: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<BrokerProcess, StartError> {
        fs::write(directory.path().join("server.properties"), format!("{SERVER_PROPERTIES}\n{properties}"))?;
        fs::write(directory.path().join("log4j2.properties"), LOG4J2_PROPERTIES)?;

        let mut shell = Command::new("sh");
        shell.args(["-c", RUN_BROKER, "run-broker.sh"]);
        shell.arg(directory.path()).arg(jars).arg(cluster_id);
        shell.args(format_options).envs(environment);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A Ctrl-C, or a harness that kills the tests' process group, must not end the script.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let script = shell.spawn().map_err(|error| StartError::Other(format!("cannot run sh: {error}")))?;
        let (directory, jars, cluster_id) = (directory.keep(), jars.to_owned(), cluster_id.to_owned());
        Ok(BrokerProcess { script, directory, jars, cluster_id, port })
    }

    /// Has the script run the JVM.
    pub(super) fn launch(&self) -> Result<(), StartError> {
        // The files of an earlier run must not be taken for those of this one.
        let exit = self.exit();
        if exit.exists() {
            fs::remove_file(&exit)?;
        }
        let mut script = self.script.stdin.as_ref().ok_or_else(|| io::Error::other("the script has ended"))?;
        Ok(script.write_all(b"start\n")?)
    }

    /// Waits until the JVM answers, and this many brokers of its cluster are up.
    pub(super) fn await_answer(&self, brokers: u8) -> Result<(), StartError> {
        let (exit, deadline) = (self.exit(), Instant::now() + START_TIMEOUT);
        while !self.answers(brokers).unwrap_or(false) {
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
                    self.port,
                    tail(&self.log())
                )));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Restarts the broker, which has ended, on its data and its ports, and waits until it answers.
    pub(super) fn restart(&self, brokers: u8) {
        if let Err(StartError::PortTaken(why) | StartError::Other(why)) =
            self.launch().and_then(|()| self.await_answer(brokers))
        {
            panic!("{why}");
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).expect("a process has a number");
        kill_process(pid, signal).expect("it is our process");
    }

    /// Waits until the JVM has ended, and returns its exit code: 128 plus the signal number if a signal ended it.
    pub(super) fn await_end(&self) -> u8 {
        let (exit, deadline) = (self.exit(), Instant::now() + START_TIMEOUT);
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

    /// Whether the broker of this cluster is on this port and has this many brokers in its cluster's metadata,
    /// including itself. From then on it accepts clients' requests.
    fn answers(&self, brokers: u8) -> io::Result<bool> {
        // About no topics. The answer begins with the number of brokers; the cluster's id follows them.
        let answer = ask(self.port, METADATA, 2, &[0, 0, 0, 0])?;
        let id = self.cluster_id.as_bytes();
        Ok(answer.starts_with(&[0, 0, 0, brokers]) && answer.windows(id.len()).any(|part| part == id))
    }

    /// Of the JVM, which is up.
    fn pid(&self) -> u32 {
        let pid = fs::read_to_string(self.directory.join("pid")).expect("the script writes it");
        pid.trim().parse().expect("it is a number")
    }

    fn exit(&self) -> PathBuf {
        self.directory.join("exit")
    }

    fn log(&self) -> String {
        // Either may not exist yet.
        ["console.log", "server.log"]
            .map(|name| fs::read_to_string(self.directory.join(name)).unwrap_or_default())
            .concat()
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // Nothing can be done about a failure, and the script continues without us.
        let _ = self.script.wait();
    }
}

/// The directory of a broker.
pub(super) fn directory() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("kafka-").tempdir()
}

/// 22 characters of base64, as Kafka requires. No other live broker on this port has the same.
pub(super) fn cluster_id(port: u16) -> String {
    format!("{:0>11}{port:0>10}A", process::id())
}

/// Ports that nobody listens on.
pub(super) fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    // All are held at once, so that they differ.
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let free = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        *port = free.local_addr()?.port();
        held.push(free);
    }
    Ok(ports)
}

/// Sends a request to a broker, and returns its answer.
pub(super) fn ask(port: u16, api: u8, version: u8, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut connection = connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut message = vec![0, api, 0, version];
    message.extend(CORRELATION_ID);
    // No client id.
    message.extend([255, 255]);
    message.extend(request);
    connection.write_all(&(message.len() as u32).to_be_bytes())?;
    connection.write_all(&message)?;
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let mut answer = Vec::new();
    connection.take(u32::from_be_bytes(length).into()).read_to_end(&mut answer)?;
    match answer.strip_prefix(&CORRELATION_ID) {
        Some(answer) => Ok(answer.to_vec()),
        None => Err(io::Error::other("the answer is to another request")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_directory_goes_with_it() {
        let directory = directory().expect("a directory can be made");
        let options = ["--add-scram".to_owned()];
        // Without jars it ends at once.
        let broker = BrokerProcess::prepare(Path::new("no-jars"), directory, "id", 0, "", options, []);
        let broker = broker.expect("the script runs");
        let directory = broker.directory.clone();
        assert_ne!(broker.await_end(), 0);
        assert!(directory.exists());

        drop(broker);
        assert!(!directory.exists());
    }
}
