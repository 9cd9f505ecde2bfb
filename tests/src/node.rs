//! The process at the other end: `tests/src/bin/node.rs`.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    bank::{Planned, domain::AccountCommand},
    checker::Answer,
};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use simple_sourcing::{CommandId, Sequence};

/// How long a process may take for one thing: to start, to answer, to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service process. It is killed when it is dropped.
pub struct Node {
    process: Child,
    /// Until it is told to stop.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    log: Log,
}

/// What the process logs, and its last words.
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// Reads until the process ends.
    reading: Option<JoinHandle<()>>,
}

/// Why a process did not start, in its own words.
#[derive(Debug)]
pub struct Refused(pub String);

impl Node {
    /// Starts a process, `node` with these arguments, and waits until it serves.
    ///
    /// # Errors
    /// When it ends instead.
    ///
    /// # Panics
    /// If it does neither, here and below.
    pub fn start(program: &str, arguments: &[&str]) -> Result<Node, Refused> {
        Node::start_in(program, arguments, &[])
    }

    /// The same with variables in its environment.
    ///
    /// # Errors
    /// When it ends instead.
    pub fn start_in(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Node, Refused> {
        let mut node = Node::spawn(program, arguments, environment);
        match node.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                assert_eq!(line, "ready");
                Ok(node)
            }
            Err(RecvTimeoutError::Timeout) => panic!("within {PATIENCE:?} it neither served nor ended"),
            Err(RecvTimeoutError::Disconnected) => {
                let (status, reason) = node.ended();
                assert_eq!(status.code(), Some(1), "it did not end in an orderly way: {reason}");
                Err(Refused(reason))
            }
        }
    }

    /// Starts a process and does not wait until it serves.
    #[must_use]
    pub fn spawn(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Node {
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the node can be run");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let log = Log::of(BufReader::new(process.stderr.take().expect("it is piped")));
        Node { process, input, lines, log }
    }

    /// Sends a command without an expected sequence. Its answer comes later.
    pub fn send(&mut self, Planned { key, id, command, .. }: &Planned) {
        self.write(&id.to_string(), key, command);
    }

    /// Sends a command under an id that the process creates, by its own clock.
    pub fn send_as_new(&mut self, key: &str, command: &AccountCommand) {
        self.write("new", key, command);
    }

    /// Sends a command of any kind that the process accepts.
    pub fn write(&mut self, id: &str, key: &str, command: &impl Serialize) {
        let command = serde_json::to_string(command).expect("commands have a JSON form");
        let input = self.input.as_mut().expect("it was not told to stop");
        writeln!(input, "{id} {key} {command}").expect("it takes commands");
    }

    /// Waits for the next answer.
    pub fn answer(&mut self) -> (CommandId, Answer) {
        let line = self.lines.recv_timeout(PATIENCE).expect("it answers");
        read(&line).unwrap_or_else(|| panic!("nothing happened to it, and it does not know: {line}"))
    }

    /// Waits until it serves or has ended.
    ///
    /// # Errors
    /// How it has ended, and its last words.
    pub fn serves(&mut self) -> Result<(), (ExitStatus, String)> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => assert_eq!(line, "ready"),
            Err(RecvTimeoutError::Timeout) => panic!("within {PATIENCE:?} it neither served nor ended"),
            Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
        }
        Ok(())
    }

    /// How it has ended and its last words, if it has.
    pub fn has_ended(&mut self) -> Option<(ExitStatus, String)> {
        let ended = self.process.try_wait().expect("it is our process").is_some();
        ended.then(|| self.ended())
    }

    /// SIGKILL. Returns the answers that it gave before it died.
    pub fn kill(mut self) -> Vec<(CommandId, Answer)> {
        self.process.kill().expect("it is our process");
        let status = self.process.wait().expect("it is our process");
        assert_eq!(status.signal(), Some(9), "it did not end by SIGKILL, but: {status}");
        self.lines.iter().filter_map(|line| read(&line)).collect()
    }

    /// SIGTERM. Waits for the end.
    pub fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end().0
    }

    /// Waits until it has logged a line with these words, and returns it.
    #[must_use]
    pub fn says(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.log.lines().iter().find(|line| line.contains(words)).cloned();
            if let Some(line) = found {
                return line;
            }
            assert!(Instant::now() < deadline, "it never says `{words}`, but:\n{}", self.log.lines().join("\n"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it has logged these words by now.
    #[must_use]
    pub fn has_said(&self, words: &str) -> bool {
        !self.said(words).is_empty()
    }

    /// The lines with these words that it has logged by now.
    #[must_use]
    pub fn said(&self, words: &str) -> Vec<String> {
        self.log.lines().iter().filter(|line| line.contains(words)).cloned().collect()
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it is our process");
    }

    /// Ends its input. Waits for its end.
    pub fn stop(mut self) -> ExitStatus {
        drop(self.input.take());
        self.end().0
    }

    /// Waits for its end, for whatever reason. Returns the answers before it, how it ended, and its last words.
    #[must_use]
    pub fn last_answers(mut self) -> (Vec<(CommandId, Answer)>, ExitStatus, String) {
        let mut answers = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => answers.extend(read(&line)),
                Err(RecvTimeoutError::Timeout) => panic!("it did not end; its log:\n{}", self.log.lines().join("\n")),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let (status, log) = self.ended();
        (answers, status, log)
    }

    /// Waits for its end, for whatever reason, and returns its last words.
    #[must_use]
    pub fn end(self) -> (ExitStatus, String) {
        self.end_within(PATIENCE)
    }

    /// The same, for one that may take another time.
    #[must_use]
    pub fn end_within(mut self, patience: Duration) -> (ExitStatus, String) {
        // Its output ends with it.
        match self.lines.recv_timeout(patience) {
            Ok(line) => panic!("nobody waits for an answer, and it says: {line}"),
            Err(RecvTimeoutError::Timeout) => {
                panic!("it did not end within {patience:?}; its log:\n{}", self.log.lines().join("\n"))
            }
            Err(RecvTimeoutError::Disconnected) => self.ended(),
        }
    }

    fn ended(&mut self) -> (ExitStatus, String) {
        let status = self.process.wait().expect("it is our process");
        if let Some(reading) = self.log.reading.take() {
            reading.join().expect("reading does not panic");
        }
        (status, self.log.lines().join("\n"))
    }
}

impl Log {
    fn of(errors: impl BufRead + Send + 'static) -> Self {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = lines.clone();
        let reading = thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Log { lines, reading: Some(reading) }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It fails if the process has ended.
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
