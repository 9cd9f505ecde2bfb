//! The time of a local log: that of the machine's clock, as long as the clock can be trusted.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{engine::Definition, model::Timestamp};

/// How long an app must have run with a time before it forgets ids by that time. A clock that is wrong for less does no harm.
const CONFIRMED_AFTER: Duration = Duration::from_secs(60 * 60);

/// Gives commands their time.
///
/// The log's time never goes back a little: it stands still until the clock has caught up. If it is further ahead of the
/// clock than a client may be, the clock was wrong when that time was taken. Everybody else's ids would be refused for that
/// long, so the log's time follows the clock again.
#[derive(Debug)]
pub(super) struct LogClock {
    lead_max: Duration,
    /// When the clock was last read, and its time.
    read: Option<(Timestamp, Instant)>,
    /// The log has times that are further ahead of the clock than allowed.
    is_left_behind: bool,
}

impl LogClock {
    pub(super) fn new(definition: &Definition) -> Self {
        // By the log's time, an id from the clock must be well within the window.
        let limits = definition.aggregates.iter().map(|aggregate| &aggregate.settings);
        let leads = limits.map(|settings| settings.clock_ahead_max.min(settings.deduplication_window / 2));
        LogClock { lead_max: leads.min().unwrap_or_default(), read: None, is_left_behind: false }
    }

    /// The time for the next commands, and whether it has just gone back from times that are too far ahead.
    ///
    /// `latest` returns the latest time of the log that is not after a limit.
    pub(super) fn time(
        &mut self,
        (now, at): (Timestamp, Instant),
        latest: impl Fn(Timestamp) -> Timestamp,
    ) -> (Timestamp, bool) {
        if let Some((before, when)) = self.read.replace((now, at)) {
            let jumped = now.since(before).saturating_sub(at.saturating_duration_since(when));
            if jumped > self.lead_max {
                warn!(
                    from = utc(before),
                    to = utc(now),
                    ?jumped,
                    "this machine's clock has jumped ahead, or the machine was asleep; if the clock is wrong, command ids from other machines are refused as too old"
                );
            }
        }
        let (last, limit) = (latest(Timestamp::from_millis(u64::MAX)), now.after(self.lead_max));
        let was_left_behind = std::mem::replace(&mut self.is_left_behind, last > limit);
        let goes_back = self.is_left_behind && !was_left_behind;
        if goes_back {
            warn!(
                log = utc(last),
                clock = utc(now),
                "the log's time is further ahead of this machine's clock than allowed (`clock_ahead_max`): a clock was wrong before, or is wrong now; the log's time follows the clock again"
            );
        }
        (latest(limit).max(now), goes_back)
    }
}

/// The time by which ids may be forgotten: one that the log has had for [`CONFIRMED_AFTER`] of running. What the clock says
/// for less than that may be wrong, and forgotten ids can't be restored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConfirmedTime {
    confirmed: Timestamp,
    candidate: Timestamp,
    /// How long apps have run since the candidate was the log's time.
    ran_millis: u64,
}

impl ConfirmedTime {
    /// Takes the log's time, after an app has run for `ran` with the previous one.
    pub(super) fn advance(&mut self, time: Timestamp, ran: Duration) {
        self.ran_millis = self.ran_millis.saturating_add(ran.as_millis() as u64);
        if self.candidate == Timestamp::default() || time < self.candidate {
            (self.candidate, self.ran_millis) = (time, 0);
            self.confirmed = self.confirmed.min(time);
        } else if Duration::from_millis(self.ran_millis) >= CONFIRMED_AFTER {
            (self.confirmed, self.candidate, self.ran_millis) = (self.candidate, time, 0);
        }
    }

    /// The confirmed time; 1970 if there is none yet.
    pub(super) fn get(&self) -> Timestamp {
        self.confirmed
    }
}

/// A time in a form that people can read.
fn utc(time: Timestamp) -> String {
    let seconds = time.as_millis() / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March have their leap day at the end; 1970 begins 719,468 days after the first of them.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = 400 * era + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn clock() -> LogClock {
        LogClock { lead_max: HOUR, read: None, is_left_behind: false }
    }

    /// A log with these times.
    fn log(times: &[Timestamp]) -> impl Fn(Timestamp) -> Timestamp {
        move |limit| times.iter().copied().filter(|time| *time <= limit).max().unwrap_or_default()
    }

    #[test]
    fn a_clock_that_goes_back_a_little_stops_the_log_and_one_that_goes_back_far_is_followed() {
        let (mut clock, at) = (clock(), Instant::now());
        let a_little = NOW.after(HOUR / 2);
        assert_eq!(clock.time((NOW, at), log(&[a_little])), (a_little, false));
        let days_ahead = NOW.after(48 * HOUR);
        assert_eq!(clock.time((NOW, at), log(&[days_ahead])), (NOW, true));
        // Other partitions keep their time, and the warning is not repeated.
        assert_eq!(clock.time((NOW, at), log(&[days_ahead, a_little])), (a_little, false));
        assert_eq!(clock.time((days_ahead, at), log(&[days_ahead])), (days_ahead, false));
        assert_eq!(clock.time((NOW, at), log(&[days_ahead])), (NOW, true), "it is wrong once more");
    }

    #[test]
    fn ids_are_forgotten_by_a_time_that_lasted() {
        let mut time = ConfirmedTime::default();
        time.advance(NOW, Duration::ZERO);
        assert_eq!(time.get(), Timestamp::default(), "none is confirmed yet");
        time.advance(NOW.after(HOUR / 2), HOUR / 2);
        // For a moment the clock is two days ahead.
        time.advance(NOW.after(48 * HOUR), HOUR / 2);
        assert_eq!(time.get(), NOW);
        time.advance(NOW.after(48 * HOUR), HOUR / 2);
        assert_eq!(time.get(), NOW);
        time.advance(NOW.after(HOUR), HOUR);
        assert_eq!(time.get(), NOW, "what was ahead is given up");
        time.advance(NOW.after(2 * HOUR), HOUR);
        assert_eq!(time.get(), NOW.after(HOUR));
        time.advance(NOW.before(HOUR), Duration::ZERO);
        assert_eq!(time.get(), NOW.before(HOUR), "it is never after the log's time");
    }

    #[test]
    fn times_can_be_read() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(Timestamp::from_millis(millis)), text);
        }
    }
}
