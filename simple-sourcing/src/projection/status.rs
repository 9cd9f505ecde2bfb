use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use super::{EventAt, Report, Reports, Stored};
use crate::{
    follow::{FailedEvent, FollowerState},
    model::Timestamp,
    one_line::OneLine,
};

/// A report that is older says nothing about now: whoever projects reports more often.
const OLD_AFTER: Duration = Duration::from_secs(30);

/// How a version of a projection is doing, wherever it runs, as its store knows it. Shown, it is a text for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProjectionStatus {
    /// The name of the projection.
    pub projection: String,
    /// Its version.
    pub version: u32,
    /// Whether somebody has paused it. A partition is [paused](FollowerState::Paused) once its process has noticed.
    pub is_paused: bool,
    /// The partitions of which anything is known: somebody has projected them.
    pub partitions: Vec<PartitionStatus>,
}

/// How a version of a projection is doing in one partition.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PartitionStatus {
    /// The wire name of the aggregate type.
    pub aggregate: String,
    /// The partition.
    pub partition: u32,
    /// The offset of the next event.
    pub next: u64,
    /// Where the log ended when that was last reported.
    pub log_end: Option<u64>,
    /// How many offsets are left; none if the end of the log is not known. On Kafka, some of them may hold no event.
    pub lag_events: Option<u64>,
    /// How old the last event is that is projected, in seconds; 0 if it is at the end; none if that is not known.
    pub lag_seconds: Option<f64>,
    /// How many events were projected in a second, lately.
    pub events_per_second: Option<f64>,
    /// How long it takes to reach the end at this rate, where it is catching up.
    pub seconds_to_catch_up: Option<f64>,
    /// What it does, as last reported; none if nobody has.
    pub state: Option<FollowerState>,
    /// Why it is retrying or has stopped.
    pub last_error: Option<String>,
    /// The event at which it has stopped, if it is an event.
    pub failed_event: Option<FailedEvent>,
    /// How many events are parked.
    pub parked: u64,
    /// The process that has reported last.
    pub process: Option<String>,
    /// How many seconds ago that was.
    pub reported_seconds_ago: Option<f64>,
    /// Whether that is so long ago that nobody projects the partition any more, or none can report.
    pub is_old: bool,
}

impl ProjectionStatus {
    pub(super) fn new(projection: &str, version: u32, stored: &Stored, reports: Reports) -> Self {
        let mut partitions = BTreeMap::<(String, u32), PartitionStatus>::new();
        let nothing = |(aggregate, partition): &(String, u32)| PartitionStatus::nothing(aggregate, *partition);
        for position in &stored.positions {
            let at = (position.aggregate.clone(), position.partition);
            let status = nothing(&at);
            partitions.entry(at).or_insert(status).next = position.checkpoint.next;
        }
        for (aggregate, partition, count) in reports.parked {
            let at = (aggregate, partition);
            let status = nothing(&at);
            partitions.entry(at).or_insert(status).parked = count;
        }
        for (report, ago) in reports.reports {
            let at = (report.aggregate.to_string(), report.partition);
            let status = nothing(&at);
            partitions.entry(at).or_insert(status).reported(report, ago);
        }
        let (projection, partitions) = (projection.to_owned(), partitions.into_values().collect());
        ProjectionStatus { projection, version, is_paused: stored.is_paused, partitions }
    }

    /// How many offsets are left in all partitions, as far as that is known.
    pub fn lag_events(&self) -> u64 {
        self.partitions.iter().filter_map(|partition| partition.lag_events).sum()
    }

    /// How many events are parked.
    pub fn parked(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.parked).sum()
    }
}

impl PartitionStatus {
    /// The event at which it has stopped, if it is an event: what may be [skipped](super::Handle::skip).
    pub fn failed_at(&self) -> Option<EventAt> {
        let event = self.failed_event.as_ref()?;
        Some(EventAt::new(self.aggregate.clone(), self.partition, event.offset))
    }

    /// Nobody has reported it.
    fn nothing(aggregate: &str, partition: u32) -> Self {
        PartitionStatus {
            aggregate: aggregate.to_owned(),
            partition,
            next: 0,
            log_end: None,
            lag_events: None,
            lag_seconds: None,
            events_per_second: None,
            seconds_to_catch_up: None,
            state: None,
            last_error: None,
            failed_event: None,
            parked: 0,
            process: None,
            reported_seconds_ago: None,
            is_old: true,
        }
    }

    /// The position is newer than the report, as a rule.
    fn reported(&mut self, report: Report, ago: Duration) {
        let lag = report.log_end.map(|end| end.saturating_sub(self.next));
        let state = report.state();
        let is_catching_up = state == Some(FollowerState::CatchingUp) && report.events_per_second > 0.0;
        self.log_end = report.log_end;
        self.lag_events = lag;
        self.lag_seconds = match lag {
            Some(0) => Some(0.0),
            _ => report.last_event_at.map(|time| Timestamp::now().since(time).as_secs_f64()),
        };
        self.events_per_second = Some(report.events_per_second);
        self.seconds_to_catch_up = lag.filter(|_| is_catching_up).map(|lag| lag as f64 / report.events_per_second);
        self.state = state;
        self.last_error = report.last_error;
        self.failed_event = report.failed_event;
        self.process = Some(report.process);
        self.reported_seconds_ago = Some(ago.as_secs_f64());
        self.is_old = ago > OLD_AFTER;
    }
}

impl fmt::Display for ProjectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProjectionStatus { projection, version, is_paused, partitions } = self;
        let paused = if *is_paused { "paused, " } else { "" };
        write!(f, "projection {projection}, version {version}: {paused}{} partitions, ", partitions.len())?;
        let seconds = partitions.iter().filter_map(|partition| partition.lag_seconds).fold(0.0, f64::max);
        match self.lag_events() {
            _ if partitions.iter().any(|partition| partition.log_end.is_none()) => write!(f, "not all reported")?,
            0 => write!(f, "caught up")?,
            lag => write!(f, "{lag} events behind, {seconds:.1} s")?,
        }
        if self.parked() > 0 {
            write!(f, ", {} events parked", self.parked())?;
        }
        writeln!(f)?;
        partitions
            .iter()
            .filter(|partition| partition.is_worth_a_line())
            .try_for_each(|partition| writeln!(f, "  {partition}"))
    }
}

impl PartitionStatus {
    fn is_worth_a_line(&self) -> bool {
        self.is_old || self.parked > 0 || self.state != Some(FollowerState::CaughtUp)
    }
}

impl fmt::Display for PartitionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PartitionStatus { aggregate, partition, next, parked, .. } = self;
        write!(f, "{aggregate} partition {partition}: ")?;
        match self.state {
            Some(FollowerState::CaughtUp) => write!(f, "caught up")?,
            Some(FollowerState::CatchingUp) => write!(f, "catching up")?,
            Some(FollowerState::Retrying { seconds }) => write!(f, "trying again for {seconds} s")?,
            Some(FollowerState::Stopped) => write!(f, "stopped")?,
            Some(FollowerState::Paused) => write!(f, "paused")?,
            None => write!(f, "its state is not known")?,
        }
        write!(f, ", at offset {next}")?;
        if let Some(end) = self.log_end {
            write!(f, " of {end}")?;
        }
        if let (Some(rate), Some(seconds)) = (self.events_per_second, self.seconds_to_catch_up) {
            write!(f, ", {rate:.0} events/s, at the end in {seconds:.0} s")?;
        }
        if *parked > 0 {
            write!(f, ", {parked} events parked")?;
        }
        if let Some(event) = &self.failed_event {
            write!(f, ", at {}", OneLine(&event.description))?;
        }
        if let Some(error) = &self.last_error {
            write!(f, ": {}", OneLine(error))?;
        }
        match (self.is_old, self.reported_seconds_ago, &self.process) {
            (true, Some(seconds), Some(process)) => {
                let process = OneLine(process);
                write!(f, " (last reported {seconds:.0} s ago, by {process}: does a process run the projection?)")
            }
            (true, ..) => write!(f, " (never reported: does a process run the projection?)"),
            (false, Some(seconds), Some(process)) => {
                write!(f, " (reported {seconds:.0} s ago, by {})", OneLine(process))
            }
            (false, ..) => Ok(()),
        }
    }
}
