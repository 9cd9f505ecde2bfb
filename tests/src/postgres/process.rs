//! A server and its directory, by way of the script that owns both.

use std::{
    env, fs,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::needing::Unavailable;

const RUN_SERVER: &str = include_str!("../../postgres/run-server.sh");

/// How long a server may take until it answers, or until it has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a server is started that finds its port taken.
const ATTEMPTS: u32 = 5;

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

#[derive(Debug)]
pub(super) struct ServerProcess {
    script: Child,
    directory: PathBuf,
    pub(super) port: u16,
}

impl ServerProcess {
    /// Starts a server, again where its port was taken.
    pub(super) fn start() -> Result<Self, Unavailable> {
        let programs = programs()?;
        let mut attempt = 1;
        loop {
            let failed = |error: io::Error| Unavailable(format!("cannot start PostgreSQL: {error}"));
            let server = Self::prepare(&programs).map_err(failed)?;
            match server.launch() {
                Ok(()) => return Ok(server),
                // Between our choice of a port and the server's use of it, another process may take it.
                Err(Unavailable(why)) if attempt < ATTEMPTS && why.contains("Address already in use") => attempt += 1,
                Err(why) => return Err(why),
            }
        }
    }

    fn prepare(programs: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("postgres-").tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut shell = Command::new("sh");
        shell.args(["-c", RUN_SERVER, "run-server.sh"]).arg(directory.path()).arg(programs).arg(port.to_string());
        if geteuid().is_root() {
            shell.arg(if has_user("postgres") { "postgres" } else { "nobody" });
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A Ctrl-C, or a harness that kills the tests' process group, must not take the script along.
        shell.process_group(0);
        Ok(ServerProcess { script: shell.spawn()?, directory: directory.keep(), port })
    }

    /// Has the script run the server, and waits until it answers.
    fn launch(&self) -> Result<(), Unavailable> {
        let exit = self.directory.join("exit");
        // That of an earlier run.
        let _ = fs::remove_file(&exit);
        let asked = self.script.stdin.as_ref().map(|mut script| script.write_all(b"start\n"));
        asked.transpose().map_err(|error| Unavailable(format!("cannot start PostgreSQL: {error}")))?;
        let deadline = Instant::now() + PATIENCE;
        while !self.says("ready to accept connections") || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err()
        {
            if exit.exists() || Instant::now() > deadline {
                return Err(Unavailable(format!("PostgreSQL does not start; it says:\n{}", self.log())));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// SIGQUIT: it ends without cleaning up. Then it is started again, and recovers.
    pub(super) fn crash_and_restart(&self) {
        let pid = fs::read_to_string(self.directory.join("pid")).expect("the script writes it");
        let pid = Pid::from_raw(pid.trim().parse().expect("it is a number")).expect("a process has one");
        kill_process(pid, Signal::QUIT).expect("it is our process");
        let deadline = Instant::now() + PATIENCE;
        while !self.directory.join("exit").exists() {
            assert!(Instant::now() < deadline, "the server does not end");
            thread::sleep(Duration::from_millis(20));
        }
        // What it has said until now is not what it will say.
        fs::write(self.directory.join("console.log"), "").expect("the log can be emptied");
        self.launch().unwrap_or_else(|Unavailable(why)| panic!("{why}"));
    }

    fn says(&self, words: &str) -> bool {
        self.log().contains(words)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("console.log")).unwrap_or_default()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // Nothing can be done about a failure, and the script goes on without us.
        let _ = self.script.wait();
    }
}

/// The directory of `initdb` and `postgres`: of the newest version that Debian has installed, or one on the path.
fn programs() -> Result<PathBuf, Unavailable> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let mut versions: Vec<_> = versions.filter_map(|path| Some((number(&path)?, path.join("bin")))).collect();
    versions.sort_unstable();
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = versions.into_iter().rev().map(|(_, programs)| programs).chain(env::split_paths(&path));
    let mut complete =
        installed.filter(|programs| ["initdb", "postgres"].iter().all(|name| programs.join(name).exists()));
    let missing = format!("neither `{VERSIONS}/*/bin` nor the PATH has `initdb` and `postgres`; install `postgresql`");
    complete.next().ok_or(Unavailable(missing))
}

fn has_user(name: &str) -> bool {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().any(|line| line.split(':').next() == Some(name))
}
