use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A time of the log, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time that is this many milliseconds after 1970-01-01 UTC.
    pub const fn from_millis(millis: u64) -> Self {
        Timestamp(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time of this machine's clock. For backends, which give commands their time; handlers and appliers must not use it.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The time passed since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This time plus `by`.
    #[must_use]
    pub const fn after(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_add(by.as_millis() as u64))
    }

    /// This time minus `by`; 1970 at the earliest.
    #[must_use]
    pub const fn before(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_sub(by.as_millis() as u64))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Timestamp(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}
