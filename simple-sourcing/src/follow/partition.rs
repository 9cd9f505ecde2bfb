use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::{error, warn};

use super::{
    again,
    aside::{Aside, Treatment},
    batch::Batch,
    checkpoint::Checkpoint,
    failure::{ApplyError, FailedEvent, OnFailure},
    guarded::guarded,
    progress::Progress,
    retry::Backoff,
    same_log,
    sequences::Sequences,
    source::{Log, Portion, Source},
    subscriber::{Resume, Subscriber},
};
use crate::{engine::Shard, error::ReadError, model::Sequence};

/// Why the later events of a key are parked.
const KEY_IS_PARKED: &str = "an earlier event of the same key is parked";

/// Gives a subscriber the events of one partition.
pub(super) struct PartitionFollower<S> {
    pub(super) subscriber: Arc<S>,
    pub(super) progress: Arc<Progress>,
    pub(super) log: Arc<Log>,
    pub(super) at: Shard,
    pub(super) on_failure: OnFailure,
    /// Where it has resumed last.
    pub(super) epoch: AtomicU64,
}

/// Why a partition is no longer followed.
enum End {
    /// At an event that can't be applied, or that can't be read.
    Stopped(ReadError, Option<FailedEvent>),
    /// The app is shut down.
    Closed,
    /// Somebody else writes in the partition.
    Lost,
    /// It is to wait.
    Paused,
    /// Where to go on may be somewhere else.
    Steered,
}

/// It does not ask more often where to go on, whatever it is told.
const STEERED_PAUSE: Duration = Duration::from_millis(20);

impl<S: Subscriber> PartitionFollower<S> {
    /// Runs until the app is shut down.
    pub(super) async fn run(self, mut start: Option<(Resume, Source)>) {
        let mut backoff = Backoff::default();
        loop {
            let end = match self.start(start.take(), &mut backoff).await {
                Ok((resume, source)) => self.follow(resume, source, &mut backoff).await,
                Err(end) => end,
            };
            match end {
                End::Closed => return self.progress.stopped(self.at, ReadError::closed(), None),
                End::Stopped(reason, event) => {
                    let (aggregate, partition) = (self.log.name, self.at.partition);
                    // If it went on, what is made of the events would be wrong for ever.
                    error!(follower = self.progress.name, aggregate, partition, %reason, "a follower has stopped");
                    self.progress.stopped(self.at, reason, event);
                    self.subscriber.steered(self.epoch.load(Ordering::Relaxed)).await;
                    // If it can't even resume, it does not try all the time.
                    tokio::time::sleep(backoff.next().0).await;
                }
                End::Paused => {
                    self.progress.paused(self.at);
                    self.subscriber.steered(self.epoch.load(Ordering::Relaxed)).await;
                }
                End::Steered => tokio::time::sleep(STEERED_PAUSE).await,
                // It is still assigned to this process, so it looks again where to go on.
                End::Lost => self.wait(&ApplyError::Lost, &mut backoff).await,
            }
        }
    }

    /// Where to go on, and the events from there.
    async fn start(&self, start: Option<(Resume, Source)>, backoff: &mut Backoff) -> Result<(Resume, Source), End> {
        if let Some(start) = start {
            return Ok(start);
        }
        loop {
            match self.resume().await {
                Ok(resume) => {
                    let source = self.log.open_one(self.at.partition, same_log::read_from(&resume.checkpoint));
                    let source = source.ok_or(End::Closed)?;
                    return Ok((resume, source));
                }
                Err(ApplyError::Poison { cause, .. } | ApplyError::Failed(cause)) => {
                    return Err(End::Stopped(cause, None));
                }
                Err(error @ (ApplyError::Retry(_) | ApplyError::Lost)) => self.wait(&error, backoff).await,
            }
        }
    }

    /// Asks the subscriber where to go on.
    pub(super) async fn resume(&self) -> Result<Resume, ApplyError> {
        let resume = guarded(self.subscriber.resume(self.log.name, self.at.partition)).await?;
        self.epoch.store(resume.checkpoint.epoch, Ordering::Relaxed);
        same_log::check_end(&self.log, self.at.partition, &resume.checkpoint).await?;
        self.progress.resumed(self.at, &resume);
        Ok(resume)
    }

    async fn follow(&self, resume: Resume, mut source: Source, backoff: &mut Backoff) -> End {
        if resume.is_paused {
            return End::Paused;
        }
        if !resume.retried.is_empty() {
            return self.retry(&resume, backoff).await;
        }
        let mut checkpoint = resume.checkpoint;
        let mut is_checked = checkpoint.last().is_none();
        let mut aside = Aside::new(resume);
        let mut sequences =
            if checkpoint.is_beginning() { Sequences::after(Sequence::ZERO) } else { Sequences::from_anywhere() };
        loop {
            let portion = tokio::select! {
                portion = source.next() => portion,
                () = self.subscriber.steered(checkpoint.epoch) => return End::Steered,
            };
            let mut events = match portion {
                Some(Portion::Events(events)) => events,
                Some(Portion::Closed) => return End::Closed,
                Some(Portion::Failed(error)) if !error.is_retryable() => return End::Stopped(error.into(), None),
                left_behind_or_failed => {
                    if let Some(Portion::Failed(error)) = left_behind_or_failed {
                        self.wait(&ApplyError::retry(error), backoff).await;
                    }
                    let from = if is_checked { checkpoint.next } else { same_log::read_from(&checkpoint) };
                    match self.log.open_one(self.at.partition, from) {
                        Some(reopened) => source = reopened,
                        None => return End::Closed,
                    }
                    continue;
                }
            };
            if !is_checked && !events.is_empty() {
                let first = events.remove(0);
                if let Err(error) = same_log::check_first(&self.log, self.at.partition, &checkpoint, &first) {
                    return End::Stopped(error, None);
                }
                is_checked = true;
                self.progress.checked(self.at);
            }
            let checked = events.iter().enumerate();
            let wrong = checked.map(|(at, event)| sequences.check(&source.log, event).map_err(|error| (at, error)));
            let wrong = wrong.into_iter().find_map(Result::err);
            events.truncate(wrong.as_ref().map_or(events.len(), |(at, _)| *at));
            let Log { name: aggregate, codecs, .. } = &*self.log;
            let batch =
                Batch { at: self.at, aggregate, codecs: codecs.clone(), before: checkpoint, is_retried: false, events };
            match self.deliver(batch, &mut aside, backoff).await {
                Ok(after) => checkpoint = after,
                Err(end) => return end,
            }
            if let Some((_, error)) = wrong {
                return End::Stopped(error, None);
            }
        }
    }

    /// Gives the subscriber parked events again. What is left to do afterwards is known where it resumes.
    async fn retry(&self, resume: &Resume, backoff: &mut Backoff) -> End {
        let again = tokio::select! {
            again = async {
                same_log::check_last(&self.log, self.at.partition, &resume.checkpoint).await?;
                again::apply(&*self.subscriber, &self.progress, &self.log, self.at, resume).await
            } => again,
            () = self.subscriber.steered(resume.checkpoint.epoch) => return End::Steered,
        };
        match again {
            Ok(()) => {
                backoff.reset();
                End::Steered
            }
            Err(ApplyError::Lost) => End::Lost,
            Err(error @ ApplyError::Retry(_)) => {
                self.wait(&error, backoff).await;
                End::Steered
            }
            Err(ApplyError::Poison { cause, .. } | ApplyError::Failed(cause)) => End::Stopped(cause, None),
        }
    }

    /// Gives the subscriber a batch, in parts where that is necessary.
    async fn deliver(&self, mut batch: Batch, aside: &mut Aside, backoff: &mut Backoff) -> Result<Checkpoint, End> {
        let mut one_by_one = false;
        while let Some(first) = batch.events.first() {
            let treatment = aside.treatment(first);
            let part = batch.split(if one_by_one { 1 } else { aside.alike(&batch.events) });
            let applied = match treatment {
                Treatment::Apply => guarded(self.subscriber.apply(&part)).await,
                Treatment::Park => guarded(self.subscriber.park(&part, KEY_IS_PARKED)).await,
                Treatment::Skip => guarded(self.subscriber.skip(&part)).await,
            };
            let (failed, cause) = match applied {
                Ok(()) => {
                    backoff.reset();
                    match treatment {
                        Treatment::Apply => self.progress.applied(&part),
                        Treatment::Park => self.progress.parked(&part, KEY_IS_PARKED),
                        Treatment::Skip => self.skipped(&part),
                    }
                    continue;
                }
                Err(ApplyError::Lost) => return Err(End::Lost),
                Err(error @ ApplyError::Retry(_)) => {
                    batch.put_back(part);
                    self.wait(&error, backoff).await;
                    continue;
                }
                Err(ApplyError::Failed(_)) if part.len() > 1 && treatment == Treatment::Apply => {
                    one_by_one = true;
                    batch.put_back(part);
                    continue;
                }
                Err(ApplyError::Failed(cause)) => (0, cause),
                Err(ApplyError::Poison { index, cause }) => (index.min(part.len() - 1), cause),
            };
            batch.put_back(part);
            if failed > 0 {
                self.progress.applied(&batch.split(failed));
            }
            if treatment != Treatment::Apply || self.on_failure == OnFailure::Stop {
                let event = batch.failed();
                return Err(End::Stopped(cause, event));
            }
            aside.park(self.park(batch.split(1), cause, backoff).await?);
        }
        Ok(batch.before)
    }

    fn skipped(&self, part: &Batch) {
        for what in part.each() {
            warn!(follower = self.progress.name, what, "an event is skipped, as somebody has decided");
        }
        self.progress.applied(part);
    }

    /// Parks an event that can't be applied. Returns its key.
    async fn park(&self, event: Batch, cause: ReadError, backoff: &mut Backoff) -> Result<Arc<str>, End> {
        let reason = cause.to_string();
        loop {
            match guarded(self.subscriber.park(&event, &reason)).await {
                Ok(()) => break,
                Err(ApplyError::Lost) => return Err(End::Lost),
                Err(error @ ApplyError::Retry(_)) => self.wait(&error, backoff).await,
                Err(ApplyError::Poison { cause, .. } | ApplyError::Failed(cause)) => {
                    return Err(End::Stopped(cause, event.failed()));
                }
            }
        }
        let what = event.describe();
        warn!(
            follower = self.progress.name,
            what, reason, "an event is parked; the later ones of its key are parked too"
        );
        self.progress.parked(&event, &reason);
        Ok(event.events.first().map_or_else(|| "".into(), |logged| logged.record.key.clone()))
    }

    /// Waits before the next attempt, and says so.
    async fn wait(&self, error: &ApplyError, backoff: &mut Backoff) {
        let (pause, is_news) = backoff.next();
        self.progress.retrying(self.at, error.to_string());
        if is_news {
            let (aggregate, partition) = (self.log.name, self.at.partition);
            warn!(follower = self.progress.name, aggregate, partition, %error, ?pause, "a follower tries again");
        }
        tokio::time::sleep(pause).await;
    }
}
