//! Decides where the commands of a partition resume. The committed offset says so, and so does what was written: each
//! event, state and response names its command. What was written is the proof, because committed offsets expire when a
//! group is idle for long, and others can move them:
//!
//! | committed | the service resumes | and |
//! |---|---|---|
//! | by a worker, not behind what was written | there | |
//! | by a worker, behind it | behind what was written | logs an error: somebody has moved the offset back |
//! | nothing, though something was written | behind what was written | logs a warning |
//! | by somebody else | behind what was written | logs an error, unless both are the same |
//!
//! So no command is skipped, and none takes effect twice. Commands behind what was written may have been processed all
//! the same, if they were rejected and that response has expired, or if they only asked for a state. They are processed
//! again: an id that is remembered gets its first outcome, and one from before the deduplication window gets `Expired`.

use tracing::{error, info, warn};

use super::catch_up::Commands;
use crate::progress::{Attempt, By};

/// Where the commands of a partition resume.
#[derive(Debug, PartialEq)]
pub(super) struct Resume {
    pub(super) next: i64,
    pub(super) verdict: Verdict,
}

/// What the committed offset is worth.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It agrees with what was written.
    Agrees,
    /// There is none.
    Missing,
    /// A worker has committed it, but what was written goes further.
    MovedBack,
    /// It was not committed by a worker.
    Foreign,
}

impl Resume {
    /// Takes the offset behind the last command of which anything was written, and whether there ever was a response.
    pub(super) fn new(commands: &Commands, proven: Option<i64>, any_response: bool) -> Self {
        let known = proven.unwrap_or(0).max(commands.first);
        let (next, verdict) = match &commands.committed {
            Some(committed) if committed.is_by_a_worker() && committed.next >= proven.unwrap_or(0) => {
                (committed.next.max(commands.first), Verdict::Agrees)
            }
            Some(committed) if committed.is_by_a_worker() => (known, Verdict::MovedBack),
            Some(committed) if committed.next.max(commands.first) == known => (known, Verdict::Agrees),
            Some(_) => (known, Verdict::Foreign),
            None if proven.is_none() && !any_response => (known, Verdict::Agrees),
            None => (known, Verdict::Missing),
        };
        Resume { next, verdict }
    }

    /// Whether commands may have been processed without leaving anything.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.verdict != Verdict::Agrees
    }

    /// Logs what is wrong.
    pub(super) fn report(&self, topic: &str, partition: u32, commands: &Commands, proven: Option<i64>) {
        let next = self.next;
        let committed = commands.committed.as_ref();
        let metadata = committed.map_or("", |committed| match &committed.by {
            By::Worker { process, .. } => process,
            By::Other(metadata) => metadata,
        });
        match (&self.verdict, committed.map(|committed| committed.next)) {
            (Verdict::Agrees, _) => {}
            (Verdict::Missing, _) | (_, None) => warn!(
                topic,
                partition,
                next,
                "the group has no committed offset, though commands were processed: it has expired, or somebody has \
                 deleted it. Resuming behind the last command of which anything was written"
            ),
            (Verdict::MovedBack, Some(committed)) => error!(
                topic,
                partition,
                committed,
                process = metadata,
                next,
                "the committed offset was moved back: commands behind it were processed. Resuming behind the last \
                 command of which anything was written"
            ),
            (Verdict::Foreign, Some(committed)) if committed < next => error!(
                topic,
                partition,
                committed,
                metadata,
                next,
                "the committed offset was moved back by somebody else: commands behind it were processed. Resuming \
                 behind the last command of which anything was written"
            ),
            (Verdict::Foreign, Some(committed)) => error!(
                topic,
                partition,
                committed,
                metadata,
                next,
                "the committed offset was moved forward by somebody else, or committed by an earlier version: commands \
                 before it have written nothing, so they are processed"
            ),
        }
        let done = match self.verdict {
            Verdict::Agrees => committed.map(|committed| committed.next).or(proven),
            _ => proven,
        };
        let lost = done.map_or(0, |done| commands.first - done);
        if lost > 0 {
            error!(
                topic,
                partition,
                lost,
                "the topic's retention has deleted commands before they were processed; their senders got no answer"
            );
        }
    }
}

/// The commands that a process has begun, or found begun, and that are not done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Begun {
    pub(super) end: i64,
    /// How many processes have died with them.
    pub(super) deaths: u32,
}

impl Begun {
    /// What is committed about commands that resume at this offset. None if there is no reason to suspect them.
    pub(super) fn find(commands: &Commands, next: i64, process: &str) -> Option<Self> {
        let committed = commands.committed.as_ref().filter(|committed| committed.next == next)?;
        let By::Worker { process: by, attempt: Some(Attempt { end, deaths, begun }) } = &committed.by else {
            return None;
        };
        let by_another = by != process;
        // If this process has begun them, a transaction has failed.
        let deaths = deaths + u32::from(*begun && by_another);
        if by_another && *begun {
            info!(by, next, end, deaths, "a process died before it had finished these commands");
        }
        (*end > next && (by_another || deaths > 0)).then_some(Begun { end: *end, deaths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Committed, Progress};

    fn commands(committed: Option<(i64, bool)>) -> Commands {
        let metadata = |next, ours| match ours {
            true => Progress { next, attempt: None }.metadata("p"),
            false => String::new(),
        };
        let committed = committed.map(|(next, ours)| Committed::read(next, &metadata(next, ours)));
        Commands { committed, first: 0, end: 100 }
    }

    #[test]
    fn what_was_written_is_the_proof() {
        use Verdict::*;
        for (committed, proven, any_response, next, verdict) in [
            // Nothing was ever processed.
            (None, None, false, 0, Agrees),
            (Some((30, false)), None, false, 0, Foreign),
            // State queries leave nothing, nor do rejections once their responses have expired.
            (Some((42, true)), Some(42), true, 42, Agrees),
            (Some((42, true)), Some(30), true, 42, Agrees),
            (Some((42, true)), None, false, 42, Agrees),
            // An earlier version.
            (Some((42, false)), Some(42), true, 42, Agrees),
            (Some((0, false)), None, false, 0, Agrees),
            // Missing, moved back, moved forward.
            (None, Some(42), true, 42, Missing),
            (None, None, true, 0, Missing),
            (Some((10, true)), Some(42), true, 42, MovedBack),
            (Some((10, false)), Some(42), true, 42, Foreign),
            (Some((72, false)), Some(42), true, 42, Foreign),
        ] {
            let resume = Resume::new(&commands(committed), proven, any_response);
            assert_eq!(resume, Resume { next, verdict }, "{committed:?} {proven:?} {any_response}");
        }
    }

    #[test]
    fn commands_that_are_gone_are_not_waited_for() {
        for committed in [None, Some((10, true)), Some((10, false))] {
            let commands = Commands { first: 50, ..commands(committed) };
            assert_eq!(Resume::new(&commands, Some(10), true).next, 50);
        }
    }

    #[test]
    fn only_the_end_of_another_process_counts() {
        let begun = |by: &str, begun, deaths| {
            let metadata = Progress { next: 42, attempt: Some(Attempt { end: 57, deaths, begun }) }.metadata(by);
            let commands = Commands { committed: Some(Committed::read(42, &metadata)), first: 0, end: 100 };
            (Begun::find(&commands, 42, "this"), Begun::find(&commands, 43, "this"))
        };
        let found = |deaths| (Some(Begun { end: 57, deaths }), None);
        assert_eq!(begun("other", true, 0), found(1));
        assert_eq!(begun("other", false, 0), found(0));
        assert_eq!(begun("other", true, 2), found(3));
        assert_eq!(begun("this", true, 0), (None, None));
        assert_eq!(begun("this", true, 2), found(2));
    }
}
