//! Processes the commands of clients elsewhere until it is told to stop.

use std::{
    io,
    process::{self, ExitCode},
};

#[cfg(unix)]
use tokio::signal::unix;
#[cfg(windows)]
use tokio::signal::windows;

use crate::{Done, cli::Connection, output};

/// What shells report of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

pub async fn run(connection: &Connection) -> Done {
    // Before anybody can think that it is time to send one.
    let mut signals = Signals::listen()?;
    let app = tokio::select! {
        app = connection.start() => app?,
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    // Also where nobody reads that any more: a service is not to end as if it had done its work.
    output::line(format_args!("ready")).map_err(|error| error.to_string())?;

    tokio::select! {
        // Without a signal it stops only because of an error.
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

/// Ctrl-C, where there is no SIGTERM.
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
