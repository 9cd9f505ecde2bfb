//! A service process of the bank, for tests that kill it: `node embedded DIRECTORY PARTITIONS [relaxed]` or
//! `node kafka BOOTSTRAP PREFIX PARTITIONS [NAME=VALUE]...`. Such a name is `instance`, `store`, `standby` or `workers`, or
//! `window` for the deduplication window in seconds, or `ahead` for how many a client may be ahead, or `serve` for `trouble`
//! beside the accounts, or `app` for another name than `bank` and `take_over_from` for that of an app before it, or a property
//! of librdkafka.
//!
//! It prints `ready` when it serves. A line `ID KEY COMMAND` on its standard input, with the command as JSON, is sent at
//! once, however many are under way, and answered by a line `ID ok SEQUENCE`, `ID refused REASON` or `ID unknown REASON`.
//! In the place of an id, `new` has the process make one, by its clock.
//! At the end of the input, or on SIGTERM, it shuts down. What it logs, and what keeps it from serving, goes to standard
//! error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::{env, error::Error, io, process::ExitCode, thread, time::Duration};

use rustix::process::Signal;
use simple_sourcing::{Durability, Settings, prelude::*};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    bank::domain::{Account, AccountClient, AccountCommand},
    checker::Answer,
    sending,
    trouble::{self, Trouble},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tracing::Level;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(Level::INFO).with_ansi(false).with_writer(io::stderr).init();
    // Before anybody can think that it is time to send one.
    let mut terminate = signal(SignalKind::terminate())?;
    // A test may let no file grow, as on a full disk: to write is an error then, and not the end.
    let _too_large = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
    let app = start().await?;
    println!("ready");
    tokio::select! {
        answered = answer(app.client()) => answered?,
        _ = terminate.recv() => {}
        stopped = app.stopped() => stopped?,
    }
    app.shutdown().await?;
    Ok(())
}

async fn start() -> Result<AppHandle, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let started = match arguments[..] {
        ["embedded", directory, partitions, ref options @ ..] => {
            let durability = if options == ["relaxed"] { Durability::Relaxed } else { Durability::Synced };
            let store = Embedded::open(directory).partitions(partitions.parse()?).durability(durability);
            App::new("bank").aggregate::<Account>().start(store).await
        }
        ["kafka", servers, prefix, partitions, ref options @ ..] => {
            let mut kafka = Kafka::new(servers).prefix(prefix).partitions(partitions.parse()?);
            let Settings { deduplication_window: mut window, clock_ahead_max: mut ahead, .. } = Settings::default();
            let mut app = App::new(options.iter().find_map(|option| option.strip_prefix("app=")).unwrap_or("bank"));
            for option in options {
                match option.split_once('=') {
                    Some(("instance", name)) => kafka = kafka.instance(name),
                    Some(("serve", "trouble")) => {
                        let set = |settings: &mut Settings| *settings = trouble::settings();
                        app = app.aggregate_with::<Trouble>(|options| options.settings(set));
                    }
                    Some(("app", _)) => {}
                    Some(("take_over_from", app)) => kafka = kafka.take_over_from(app),
                    Some(("store", directory)) => kafka = kafka.store(directory),
                    Some(("standby", standby)) => kafka = kafka.standby(standby.parse()?),
                    Some(("workers", workers)) => kafka = kafka.workers(workers.parse()?),
                    Some(("window", seconds)) => window = Duration::from_secs(seconds.parse()?),
                    Some(("ahead", seconds)) => ahead = Duration::from_secs(seconds.parse()?),
                    Some((name, value)) => kafka = kafka.property(name, value),
                    None => return Err(format!("`{option}` is not `NAME=VALUE`").into()),
                }
            }
            let set = |settings: &mut Settings| {
                (settings.deduplication_window, settings.clock_ahead_max) = (window, ahead);
            };
            app.aggregate_with::<Account>(|options| options.settings(set)).start(kafka).await
        }
        _ => {
            let usage = "usage: node embedded DIRECTORY PARTITIONS [relaxed] | kafka BOOTSTRAP PREFIX PARTITIONS [NAME=VALUE]...";
            return Err(usage.into());
        }
    };
    Ok(started?)
}

/// Sends the commands of the standard input, in their order, until it ends and all are answered.
async fn answer(accounts: AccountClient) -> Result<(), Box<dyn Error>> {
    let mut lines = input();
    let mut under_way = JoinSet::new();
    while let Some(line) = lines.recv().await {
        let line = line?;
        let [id, key, command] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            return Err(format!("`{line}` is not `ID KEY COMMAND`").into());
        };
        let id = if id == "new" { CommandId::new() } else { id.parse()? };
        let command: AccountCommand = serde_json::from_str(command)?;
        let answer = sending::send(accounts.send(key, command).command_id(id)).await;
        under_way.spawn(async move {
            let result = answer.await;
            match (Answer::of(&result), result) {
                (Some(Answer::Accepted(sequence)), _) => println!("{id} ok {sequence}"),
                (Some(Answer::Refused(reason)), _) => println!("{id} refused {reason}"),
                (None, result) => println!("{id} unknown {result:?}"),
            }
        });
        while let Some(answered) = under_way.try_join_next() {
            answered?;
        }
    }
    while let Some(answered) = under_way.join_next().await {
        answered?;
    }
    Ok(())
}

/// The lines of the standard input. It is read by a thread that nobody waits for when a signal ends the process.
fn input() -> mpsc::UnboundedReceiver<io::Result<String>> {
    let (sender, lines) = mpsc::unbounded_channel();
    thread::spawn(move || io::stdin().lines().try_for_each(|line| sender.send(line)));
    lines
}
