//! Processes the commands of clients in other processes until it is stopped.

use std::{
    io,
    process::{self, ExitCode},
};

#[cfg(unix)]
use tokio::signal::unix;
#[cfg(windows)]
use tokio::signal::windows;

use crate::{Done, cli::Connection, output};

/// The exit code that shells report for a process ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

pub async fn run(connection: &Connection) -> Done {
    // Before anybody can know that it's time to send one.
    let mut signals = Signals::listen()?;
    let app = tokio::select! {
        app = connection.start() => app?,
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    // Even when nobody reads it any more: a service must not exit as if it had finished its work.
    output::line(format_args!("ready")).map_err(|error| error.to_string())?;

    tokio::select! {
        // Without a signal it only stops because of an error.
        stopped = app.stopped() => stopped?,
        () = signals.next() => {}
    }
    output::complain("stopping: finishing what is under way (once more to stop at once)");
    tokio::select! {
        stopped = app.shutdown() => stopped?,
        () = signals.next() => process::exit(INTERRUPTED),
    }
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM and Ctrl-C.
#[cfg(unix)]
struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        let [terminate, interrupt] = [unix::SignalKind::terminate(), unix::SignalKind::interrupt()].map(unix::signal);
        Ok(Signals { terminate: terminate?, interrupt: interrupt? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ctrl-C, for systems without SIGTERM.
#[cfg(windows)]
struct Signals(windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Signals(windows::ctrl_c()?))
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
