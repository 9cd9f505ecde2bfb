//! The load generator: measures how fast a bank answers, and can record the answers.
//!
//! A few lanes, one for each core, keep many commands in flight. Each lane keeps its own counts until the end, so that
//! the lanes don't slow each other down.

mod history;
mod outcome;
mod plan;
mod progress;
mod rows;
mod sender;
mod tally;

use std::{process::ExitCode, sync::Arc, thread, time::Instant};

use futures_util::{StreamExt, stream};
use tokio::task::{JoinError, unconstrained};

use crate::{
    Done,
    cli::{self, Connection},
    output::{complain, line},
    read_model::ReadModel,
};
use history::History;
use plan::{Plan, Work};
use progress::Progress;
use rows::Rows;
use sender::Sender;
use tally::Tally;

pub async fn run(connection: &Connection, load: &cli::Load) -> Done {
    let history = load.history.as_deref().map(History::create).transpose()?;
    let app = connection.start().await?;
    let rows = match connection.named_read_model() {
        true => Some(Rows::watch(Arc::new(ReadModel::start(&app, connection).await?))),
        false => None,
    };
    let sender = Arc::new(Sender::new(app.client(), history.as_ref(), rows.as_ref()));
    let plan = Plan::new(load);

    let opened = send_all("opening accounts", plan.openings(), &sender, load.in_flight).await?;
    let begun = Instant::now();
    let sent = send_all("sending commands", plan.commands(), &sender, load.in_flight).await?;
    let seconds = begun.elapsed().as_secs_f64();
    drop(sender);
    let rows = match rows {
        Some(rows) => rows.finish().await.map(Some),
        None => Ok(None),
    };
    app.shutdown().await?;
    if let Some(history) = history {
        history.finish()?;
    }
    let reported = line(format_args!("{}", sent.report(seconds, rows?.as_ref())));
    let complaints = [opened.complaints("opening the accounts"), sent.complaints("sending the commands")].concat();
    complaints.iter().for_each(|complaint| complain(format_args!("error: {complaint}")));
    if !complaints.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    reported?;
    Ok(ExitCode::SUCCESS)
}

/// Sends all commands of the work, this many at a time, and returns the counts.
async fn send_all(what: &'static str, work: Work, sender: &Arc<Sender>, in_flight: u32) -> Result<Tally, JoinError> {
    let work = Arc::new(work);
    let progress = Progress::show(what, work.clone());
    let lanes = thread::available_parallelism().map_or(1, |cores| cores.get() as u32).min(in_flight);
    let lanes: Vec<_> = (0..lanes)
        .map(|lane| {
            // The first lanes get the remainder of the division.
            let in_flight = in_flight / lanes + u32::from(lane < in_flight % lanes);
            // A lane does nothing else, so it need not yield to other tasks.
            tokio::spawn(unconstrained(drive(work.clone(), sender.clone(), in_flight as usize)))
        })
        .collect();
    let mut tally = Tally::default();
    for lane in lanes {
        tally.add(lane.await?);
    }
    progress.end();
    Ok(tally)
}

/// One lane: as soon as a command is answered, the next is sent.
async fn drive(work: Arc<Work>, sender: Arc<Sender>, in_flight: usize) -> Tally {
    let mut tally = Tally::default();
    let calls = stream::iter(work.take()).map(|planned| sender.send(planned));
    let mut answers = calls.buffer_unordered(in_flight);
    while let Some(answered) = answers.next().await {
        tally.count(&answered);
    }
    tally
}
