//! Processes the commands of clients in other processes until it is stopped.

use std::{
    error::Error,
    io,
    process::{self, ExitCode},
};

use simple_sourcing::AppHandle;
#[cfg(unix)]
use tokio::signal::unix;
#[cfg(windows)]
use tokio::signal::windows;

use crate::{Done, cli::Connection, output};

/// The exit code that shells report for a process ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

pub async fn run(connection: &Connection) -> Done {
    until_stopped(connection, async |_| Ok(())).await
}

/// Starts the app and what works with it, says `ready`, and runs until a signal comes.
pub async fn until_stopped<T>(
    connection: &Connection,
    start: impl AsyncFnOnce(&AppHandle) -> Result<T, Box<dyn Error>>,
) -> Done {
    // Before anybody can know that it's time to send one.
    let mut signals = Signals::listen()?;
    let app = tokio::select! {
        app = connection.start() => app?,
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    let started = tokio::select! {
        started = start(&app) => started,
        () = signals.next() => {
            app.shutdown().await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let working = match started {
        Ok(working) => working,
        Err(error) => {
            app.shutdown().await?;
            return Err(error);
        }
    };
    // Even when nobody reads it any more: a service must not exit as if it had finished its work.
    output::line(format_args!("ready")).map_err(|error| error.to_string())?;

    tokio::select! {
        // Without a signal it only stops because of an error.
        stopped = app.stopped() => stopped?,
        () = signals.next() => {}
    }
    drop(working);
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
