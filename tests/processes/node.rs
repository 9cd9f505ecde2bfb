//! The process at the other end: `tests/src/bin/node.rs`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use simple_sourcing::{CommandId, Sequence};
use simple_sourcing_tests::history::Answer;

use crate::bank::Planned;

/// How long a process may take for one thing: to start, to answer, to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service process. It is killed when it is dropped.
pub(crate) struct Node {
    process: Child,
    /// Until it is told to stop.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// Why a process did not start, in its own words.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl Node {
    /// Starts a process and waits until it serves.
    pub(crate) fn start(arguments: &[&str]) -> Result<Node, Refused> {
        let mut node = Node::spawn(arguments);
        match node.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                assert_eq!(line, "ready");
                Ok(node)
            }
            Err(RecvTimeoutError::Timeout) => panic!("within {PATIENCE:?} it neither served nor ended"),
            Err(RecvTimeoutError::Disconnected) => {
                let mut reason = String::new();
                let errors = node.process.stderr.as_mut().expect("it is piped");
                errors.read_to_string(&mut reason).expect("errors are text");
                let status = node.process.wait().expect("it is our process");
                assert_eq!(status.code(), Some(1), "it did not end in an orderly way: {reason}");
                Err(Refused(reason))
            }
        }
    }

    fn spawn(arguments: &[&str]) -> Node {
        let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the node can be run");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Node { process, input, lines }
    }

    /// Sends a command. It is answered some time later.
    pub(crate) fn send(&mut self, Planned { key, id, command }: &Planned) {
        let command = serde_json::to_string(command).expect("commands have a JSON form");
        let input = self.input.as_mut().expect("it was not told to stop");
        writeln!(input, "{id} {key} {command}").expect("it takes commands");
    }

    /// Waits for the next answer.
    pub(crate) fn answer(&mut self) -> (CommandId, Answer) {
        let line = self.lines.recv_timeout(PATIENCE).expect("it answers");
        read(&line).unwrap_or_else(|| panic!("nothing happened to it, and it does not know: {line}"))
    }

    /// SIGKILL. Returns the answers that it gave before it died.
    pub(crate) fn kill(mut self) -> Vec<(CommandId, Answer)> {
        self.process.kill().expect("it is our process");
        let status = self.process.wait().expect("it is our process");
        assert_eq!(status.signal(), Some(9), "it did not end by SIGKILL, but: {status}");
        self.lines.iter().filter_map(|line| read(&line)).collect()
    }

    /// SIGTERM. Waits for the end.
    pub(crate) fn terminate(self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is our process");
        self.end()
    }

    /// Ends its input. Waits for its end.
    pub(crate) fn stop(mut self) -> ExitStatus {
        drop(self.input.take());
        self.end()
    }

    fn end(mut self) -> ExitStatus {
        // Its output ends with it.
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => panic!("nobody waits for an answer, and it says: {line}"),
            Err(RecvTimeoutError::Timeout) => panic!("it did not end within {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => self.process.wait().expect("it is our process"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It fails where the process has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer of the node; none where it does not know the outcome.
fn read(line: &str) -> Option<(CommandId, Answer)> {
    let mut parts = line.splitn(3, ' ');
    let (id, kind, what) = (parts.next()?, parts.next()?, parts.next()?);
    let answer = match kind {
        "ok" => Answer::Accepted(Sequence::new(what.parse().ok()?)),
        "refused" => Answer::Refused(what.to_owned()),
        _ => return None,
    };
    Some((id.parse().ok()?, answer))
}
