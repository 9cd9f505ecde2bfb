use std::{
    fmt::{self, Display},
    time::Duration,
};

use super::apart::Apart;
use crate::error::{Error, has_code};

/// Whoever has reported in this time runs a version: a process reports at least every 10 seconds.
pub(super) const REPORTED_WITHIN: Duration = Duration::from_secs(15);

/// So many things are named in an error; of the rest, how many there are.
const NAMED_MAX: usize = 20;

/// Why something can't be done with the versions of a projection. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// It has never started in this database, or was dropped.
    #[error(
        "there is no version {version} of projection `{projection}` in this database: check both, and whether it is the right \
         database; the version is there once a process has started it, with `app.project`"
    )]
    NotThere {
        /// The name of the projection.
        projection: String,
        /// The version.
        version: u32,
    },

    /// Whoever reads would go back in time.
    #[error(
        "version {version} of projection `{projection}` is behind version {current}, which is current: {}; switch again when \
         it has caught up, or wait for that with `switch_within`",
        Listed(behind)
    )]
    Behind {
        /// The name of the projection.
        projection: String,
        /// The version that was to become current.
        version: u32,
        /// The one that is.
        current: u32,
        /// The partitions in which it is behind; the current version is the old one.
        behind: Vec<Apart>,
    },

    /// Whoever reads would miss rows.
    #[error(
        "version {version} of projection `{projection}` has parked {events} events that version {current}, which is current, has \
         projected: mend the cause and have them tried again (`retry_all`), or decide to skip them (`skip`), and switch again"
    )]
    Parked {
        /// The name of the projection.
        projection: String,
        /// The version that was to become current.
        version: u32,
        /// The one that is.
        current: u32,
        /// How many events there are.
        events: u64,
    },

    /// Something of the user's needs what is to be dropped.
    #[error(
        "{what} can't be dropped, because something else in the database depends on it: {}; drop that first, or change it",
        Listed(dependents)
    )]
    Depended {
        /// What was to be dropped.
        what: String,
        /// What depends on it, as PostgreSQL describes it.
        dependents: Vec<String>,
    },

    /// It is the one that is read.
    #[error(
        "version {version} of projection `{projection}` is current, so it can't be dropped: switch to another version first"
    )]
    IsCurrent {
        /// The name of the projection.
        projection: String,
        /// The version.
        version: u32,
    },

    /// A process projects it.
    #[error(
        "version {version} of projection `{projection}` is run by {process}, which has reported {seconds_ago:.0} s ago: stop it, \
         and drop the version some {} s later",
        REPORTED_WITHIN.as_secs()
    )]
    IsRun {
        /// The name of the projection.
        projection: String,
        /// The version.
        version: u32,
        /// The process that has reported last.
        process: String,
        /// How many seconds ago that was.
        seconds_ago: f64,
    },

    /// The database has failed, or something is in the way in it.
    #[error(transparent)]
    Store(#[from] Error),
}

impl VersionError {
    /// Whether the same may work later by itself: the version catches up, or the database answers again.
    pub fn is_retryable(&self) -> bool {
        match self {
            VersionError::Behind { .. } => true,
            VersionError::Store(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl VersionError {
    /// Whether somebody else has had a lock for too long, or waits for one in turn.
    pub(super) fn is_in_the_way(&self) -> bool {
        let is_it = |cause: &sqlx::Error| ["55P03", "40P01"].iter().any(|code| has_code(cause, code));
        matches!(self, VersionError::Store(Error::Store { cause, .. }) if is_it(cause))
    }
}

/// The first ones of a list.
struct Listed<'a, T>(&'a [T]);

impl<T: Display> Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, item) in self.0.iter().take(NAMED_MAX).enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{item}")?;
        }
        match self.0.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
