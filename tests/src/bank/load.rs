//! A load that runs while things happen to the services.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use simple_sourcing::{Call, CommandError, Receipt, Sequence};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{
    Planned,
    domain::{AccountClient, AccountCommand, AccountError},
};
use crate::{
    checker::{Answer, History},
    sending,
};

/// How long to wait for a command, in total and on each attempt.
const PATIENCE: Duration = Duration::from_secs(120);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The delay before resending a command that was not sent.
const PAUSE: Duration = Duration::from_millis(100);

/// One in this many commands expects the last known sequence of its account.
const CONDITIONAL: usize = 8;

/// Sends the commands of each key in order, many at a time, and resends each until its outcome is known.
pub struct Load {
    sending: JoinHandle<Done>,
    answered: watch::Receiver<usize>,
    stopped: Arc<AtomicBool>,
}

/// A finished load.
pub struct Done {
    /// What the clients saw.
    pub history: History,
    /// The commands, as they were sent.
    pub sent: Vec<Planned>,
    /// The longest time to an answer.
    pub longest: Duration,
    /// When the last answer came.
    pub ended: Instant,
}

impl Load {
    /// Starts to send, this many commands at a time.
    pub fn start(
        accounts: AccountClient,
        plan: impl Iterator<Item = Planned> + Send + 'static,
        in_flight: usize,
    ) -> Self {
        let (sender, answered) = watch::channel(0);
        let stopped: Arc<AtomicBool> = Arc::default();
        let sending = tokio::spawn(send_all(accounts, plan, in_flight, sender, stopped.clone()));
        Load { sending, answered, stopped }
    }

    /// Waits until this many more commands are answered.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn progress(&mut self, commands: usize) {
        let enough = *self.answered.borrow() + commands;
        let reached = timeout(PATIENCE, self.answered.wait_for(|answered| *answered >= enough)).await;
        let _ = reached.expect("the load proceeds").expect("it goes on until it is stopped");
    }

    /// Whether nothing is answered for this long.
    pub async fn is_stalled_for(&mut self, time: Duration) -> bool {
        self.answered.mark_unchanged();
        timeout(time, self.answered.changed()).await.is_err()
    }

    /// Stops sending, and waits for what is in flight.
    ///
    /// # Panics
    /// When a command has no certain outcome in time.
    pub async fn finish(self) -> Done {
        self.stopped.store(true, Ordering::Release);
        self.sending.await.expect("sending does not panic")
    }
}

async fn send_all(
    accounts: AccountClient,
    mut plan: impl Iterator<Item = Planned>,
    in_flight: usize,
    answered: watch::Sender<usize>,
    stopped: Arc<AtomicBool>,
) -> Done {
    let (mut history, mut sent, mut longest) = (History::new(), Vec::new(), Duration::ZERO);
    let mut sequences: HashMap<String, Sequence> = HashMap::new();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < in_flight
            && !stopped.load(Ordering::Acquire)
            && let Some(mut planned) = plan.next()
        {
            if sent.len() % CONDITIONAL == 0 {
                planned.expected = sequences.get(&planned.key).copied();
            }
            history.sent_expecting(&planned.key, planned.id, planned.expected);
            sent.push(planned.clone());
            let first = sending::send(planned.call(&accounts)).await;
            under_way.spawn(until_certain(accounts.clone(), planned, first));
        }
        let Some(done) = under_way.join_next().await else { break };
        let (Planned { key, id, .. }, again, result, took) = done.expect("sending does not panic");
        if again {
            history.sent(&key, id);
        }
        let answer = Answer::of(&result).unwrap_or_else(|| panic!("{id} has no answer after {PATIENCE:?}: {result:?}"));
        if let Answer::Accepted(sequence) = answer {
            sequences.insert(key, sequence);
        }
        history.answered(id, answer);
        longest = longest.max(took);
        answered.send_modify(|answered| *answered += 1);
    }
    Done { history, sent, longest, ended: Instant::now() }
}

type Answered = Result<Receipt, CommandError<AccountError>>;

async fn until_certain(
    accounts: AccountClient,
    planned: Planned,
    first: impl Future<Output = Answered>,
) -> (Planned, bool, Answered, Duration) {
    let sent = Instant::now();
    let (mut result, mut again) = (first.await, false);
    while Answer::of(&result).is_none() && sent.elapsed() < PATIENCE {
        again = true;
        sleep(PAUSE).await;
        result = planned.call(&accounts).await;
    }
    (planned, again, result, sent.elapsed())
}

impl Planned {
    fn call(&self, accounts: &AccountClient) -> Call<AccountCommand> {
        let call = accounts.send(self.key.as_str(), self.command.clone()).command_id(self.id).timeout(ANSWER_WITHIN);
        match self.expected {
            Some(sequence) => call.expect_sequence(sequence),
            None => call,
        }
    }
}
