use std::{borrow::Cow, time::Duration};

use crate::{
    follow::{FailedEvent, FollowedPartition, FollowerState},
    model::Timestamp,
};

/// What a process says of a partition that it projects, for those who ask the store.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The wire name of the aggregate type.
    pub aggregate: Cow<'static, str>,
    /// The partition.
    pub partition: u32,
    /// Which process it is.
    pub process: String,
    /// What it does, in one word.
    pub state: Cow<'static, str>,
    /// Since when it tries the same events again.
    pub retrying_since: Option<Timestamp>,
    /// Where the log ends, if that is known.
    pub log_end: Option<u64>,
    /// When the last event happened that it has projected. A store keeps the one that it has, if there is none.
    pub last_event_at: Option<Timestamp>,
    /// How many events it has projected in a second, lately.
    pub events_per_second: f64,
    /// Why it is retrying or has stopped.
    pub last_error: Option<String>,
    /// The event at which it has stopped, if it is an event.
    pub failed_event: Option<FailedEvent>,
}

/// The words of the states.
const CAUGHT_UP: &str = "caught_up";
const CATCHING_UP: &str = "catching_up";
const RETRYING: &str = "retrying";
const STOPPED: &str = "stopped";
const PAUSED: &str = "paused";

impl Report {
    /// Nothing but these; what else is known is set.
    pub fn new(aggregate: impl Into<Cow<'static, str>>, partition: u32, process: String, state: String) -> Self {
        Report {
            aggregate: aggregate.into(),
            partition,
            process,
            state: state.into(),
            retrying_since: None,
            log_end: None,
            last_event_at: None,
            events_per_second: 0.0,
            last_error: None,
            failed_event: None,
        }
    }

    pub(super) fn of(
        followed: FollowedPartition,
        stopped: Option<&str>,
        process: &str,
        events_per_second: f64,
    ) -> Self {
        let now = Timestamp::now();
        let (state, retrying_since) = match followed.state {
            _ if stopped.is_some() => (STOPPED, None),
            FollowerState::CaughtUp => (CAUGHT_UP, None),
            FollowerState::CatchingUp => (CATCHING_UP, None),
            FollowerState::Retrying { seconds } => (RETRYING, Some(now.before(Duration::from_secs(seconds)))),
            FollowerState::Stopped => (STOPPED, None),
            FollowerState::Paused => (PAUSED, None),
        };
        Report {
            aggregate: followed.aggregate.into(),
            partition: followed.partition,
            process: process.to_owned(),
            state: state.into(),
            retrying_since,
            log_end: followed.end,
            last_event_at: followed.last_event_at,
            events_per_second,
            last_error: followed.last_error.or_else(|| stopped.map(ToOwned::to_owned)),
            failed_event: followed.failed_event,
        }
    }

    /// What it does, if the word is one of those above: another version may have written it.
    pub(super) fn state(&self) -> Option<FollowerState> {
        let seconds = || self.retrying_since.map_or(0, |since| Timestamp::now().since(since).as_secs());
        match &*self.state {
            CAUGHT_UP => Some(FollowerState::CaughtUp),
            CATCHING_UP => Some(FollowerState::CatchingUp),
            RETRYING => Some(FollowerState::Retrying { seconds: seconds() }),
            STOPPED => Some(FollowerState::Stopped),
            PAUSED => Some(FollowerState::Paused),
            _ => None,
        }
    }
}

/// What a store knows of how a version of a projection is doing.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Reports {
    /// The last report of each partition, and how long ago it was made.
    pub reports: Vec<(Report, Duration)>,
    /// How many events are parked, by aggregate type and partition, where there are any.
    pub parked: Vec<(String, u32, u64)>,
}

impl Reports {
    /// These reports, and these numbers of parked events.
    pub fn new(reports: Vec<(Report, Duration)>, parked: Vec<(String, u32, u64)>) -> Self {
        Reports { reports, parked }
    }
}
