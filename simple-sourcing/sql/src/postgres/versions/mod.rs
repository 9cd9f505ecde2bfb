//! The versions of a projection in one database: which of them is read under the projection's own name.
//!
//! | file | what it knows |
//! |---|---|
//! | `apart.rs` | how far two versions are apart |
//! | `positions.rs` | compares positions, and holds those of a version |
//! | `catalog.rs` | names, and what depends on what |
//! | `removal.rs` | drops a version |
//! | `error.rs` | what can go wrong |
//! | `views.rs` | the views under the stable name |
//! | `diff.rs` | in what the rows of two versions differ |

mod apart;
mod catalog;
mod diff;
mod error;
mod positions;
mod removal;
mod views;

use std::{fmt, time::Duration};

use simple_sourcing::{ReadError, Receipt, projection::Handle};
use sqlx::{Connection, PgConnection, Postgres as Database, Transaction};
use tokio::time::{Instant, sleep};

use self::views::Views;
pub use self::{
    apart::Apart,
    diff::{Diff, TableDiff},
    error::VersionError,
};
use super::{Postgres, rights::Rights};
use crate::error::{Error, is_no_table};

/// How long to wait before looking again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long the writers of the current version wait while the next one comes up to them.
const HELD_MAX: Duration = Duration::from_secs(1);

/// How long to wait before looking again while they wait.
const HELD_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// How long those who read may wait behind a switch that waits for others who read.
const READERS_WAIT_MAX: Duration = Duration::from_millis(500);

/// A wait does not look more often whether another version has become current.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// The timeout of a wait, unless it has another one.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The versions of a projection, from any process that reaches the database. One of them is current: the schema with the name of
/// the projection has a view for each of its tables.
///
/// ```no_run
/// # use std::time::Duration;
/// # use simple_sourcing_sql::Postgres;
/// # async fn publish(database: Postgres) -> Result<(), Box<dyn std::error::Error>> {
/// let balances = database.versions("balances");
/// println!("{}", balances.diff(1, 2).await?);                              // 217 rows differ
/// balances.switch_within(2, Duration::from_secs(60)).await?;               // `balances.balances` shows `balances_v2.balances`
/// balances.drop_version(1).await?;                                         // when no process runs it any more
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Versions {
    store: Postgres,
    projection: String,
}

impl Postgres {
    /// The versions of the projection with this name.
    pub fn versions(&self, projection: impl Into<String>) -> Versions {
        Versions { store: self.clone(), projection: projection.into() }
    }
}

impl Versions {
    /// The version that is read under the name of the projection; none before the first [switch](Versions::switch).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn current(&self) -> Result<Option<u32>, Error> {
        let failed = |cause| self.failed("read which version is current", cause);
        let mut connection = self.store.pool.acquire().await.map_err(failed)?;
        match positions::versions(&mut connection, &self.projection).await {
            Ok(versions) => Ok(current(&versions)),
            // Nothing was ever prepared in this database.
            Err(cause) if is_no_table(&cause) => Ok(None),
            Err(cause) => Err(failed(cause)),
        }
    }

    /// Makes a version current, in one transaction: whoever reads under the name of the projection finds the tables of one
    /// version before, and those of the other one after, and all that it has found before.
    ///
    /// The first version becomes current by a switch, too, whether it has caught up or not. A switch to the version that is
    /// current has the views show the tables that it has now.
    ///
    /// # Errors
    /// When the version is [behind](VersionError::Behind) the current one somewhere, or has [parked](VersionError::Parked) what
    /// that one has projected, something of yours [depends](VersionError::Depended) on a view that has to be dropped, the
    /// version is not there, or the database fails. A transaction that has read a view keeps the switch waiting for up to the
    /// [lock timeout](Postgres::lock_timeout); it lets others read in between. Nothing has changed then.
    pub async fn switch(&self, version: u32) -> Result<(), VersionError> {
        self.switch_once(version, Duration::ZERO).await
    }

    /// [`switch`](Versions::switch), as soon as the version has caught up with the current one. At the end, the writers of the
    /// current version wait for up to a second, so that the next one comes up to them under load, too.
    ///
    /// # Errors
    /// As [`switch`](Versions::switch). If the version has not caught up in time, or the database does not answer, the error is
    /// the last one.
    pub async fn switch_within(&self, version: u32, within: Duration) -> Result<(), VersionError> {
        let until = Instant::now() + within;
        loop {
            let switched = match self.caught_up(version, until).await {
                Ok(()) => self.switch_once(version, HELD_MAX).await,
                Err(error) => Err(error),
            };
            match switched {
                Err(error) if error.is_retryable() && Instant::now() < until => sleep(AGAIN_AFTER).await,
                switched => return switched,
            }
        }
    }

    /// Waits until the version has come to where the current one was at first, without holding anything. Under load, the current
    /// one has gone on meanwhile.
    async fn caught_up(&self, version: u32, until: Instant) -> Result<(), VersionError> {
        let failed = |cause| self.failed("compare the positions of two versions", cause);
        let mut goal = None;
        loop {
            let Some(current) = self.current().await?.filter(|current| *current != version) else { return Ok(()) };
            let mut connection = self.store.pool.acquire().await.map_err(failed)?;
            let behind =
                positions::behind(&mut connection, &self.projection, current, version).await.map_err(failed)?;
            drop(connection);
            let goal: &Vec<Apart> = goal.get_or_insert_with(|| behind.clone());
            if !goal.iter().any(|to| behind.iter().any(|now| now.is_before(to))) {
                return Ok(());
            }
            if Instant::now() >= until {
                let projection = self.projection.clone();
                return Err(VersionError::Behind { projection, version, current, behind });
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Switches, if the version comes up to the current one while that one is held.
    async fn switch_once(&self, version: u32, held: Duration) -> Result<(), VersionError> {
        let failed = |cause| self.failed(&format!("switch to version {version}"), cause);
        let mut transaction = self.begin().await.map_err(failed)?;
        let versions = match positions::hold_versions(&mut transaction, &self.projection).await {
            Ok(versions) => versions,
            Err(cause) if is_no_table(&cause) => Vec::new(),
            Err(cause) => return Err(failed(cause).into()),
        };
        if !versions.iter().any(|found| found.version == version) {
            return Err(self.not_there(version));
        }
        if let Some(current) = current(&versions).filter(|current| *current != version) {
            self.compare(&mut transaction, current, version, held).await?;
        }
        self.replace_views(&mut transaction, version).await?;
        positions::set_current(&mut transaction, &self.projection, version).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        self.store.signals.notify();
        Ok(())
    }

    /// Replaces the views, as soon as nobody reads them. Those who read some of them, and wait for others, come first.
    async fn replace_views(&self, connection: &mut PgConnection, version: u32) -> Result<(), VersionError> {
        let failed = |cause| self.failed(&format!("switch to version {version}"), cause);
        let until = Instant::now() + self.store.session.lock_timeout;
        let rights = Rights::of(&self.store.pool.connect_options());
        // After that time, PostgreSQL looks for deadlocks, and would end one of those who read.
        let wait = READERS_WAIT_MAX.min(catalog::deadlock_timeout(connection).await.map_err(failed)? / 2);
        loop {
            let mut savepoint = connection.begin().await.map_err(failed)?;
            let views = Views { projection: &self.projection, version, rights: &rights, until: Instant::now() + wait };
            match views.replace(&mut savepoint).await {
                Ok(()) => return Ok(savepoint.commit().await.map_err(failed)?),
                Err(error) if error.is_in_the_way() && Instant::now() < until => {
                    savepoint.rollback().await.map_err(failed)?;
                    sleep(AGAIN_AFTER).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Holds the positions of the current version, so that they stay where they are, and compares the others with them.
    async fn compare(
        &self,
        connection: &mut PgConnection,
        current: u32,
        version: u32,
        held: Duration,
    ) -> Result<(), VersionError> {
        let failed = |cause| self.failed("compare the positions of two versions", cause);
        let (projection, begun) = (&self.projection, Instant::now());
        positions::hold(connection, projection, current).await.map_err(failed)?;
        loop {
            let behind = positions::behind(connection, projection, current, version).await.map_err(failed)?;
            if behind.is_empty() {
                break;
            }
            if begun.elapsed() >= held {
                let projection = projection.clone();
                return Err(VersionError::Behind { projection, version, current, behind });
            }
            sleep(HELD_AGAIN_AFTER).await;
        }
        match positions::parked(connection, projection, current, version).await.map_err(failed)? {
            0 => Ok(()),
            events => Err(VersionError::Parked { projection: projection.clone(), version, current, events }),
        }
    }

    /// Drops a version, in one transaction: its schema with all that is in it, its positions, and what is parked, skipped and
    /// reported of it. A process that runs it nevertheless, because the database did not hear of it for a while, writes nothing
    /// more: it stops at its next event, with [`Error::Dropped`]. A version below the current one never comes back; one above
    /// it may be started again, and begins at the beginning.
    ///
    /// # Errors
    /// When the version is [current](VersionError::IsCurrent), a process has [reported](VersionError::IsRun) from it in the
    /// last 15 seconds, something outside of its schema [depends](VersionError::Depended) on it, it is not there, or the
    /// database fails. Nothing is dropped then.
    pub async fn drop_version(&self, version: u32) -> Result<(), VersionError> {
        let failed = |cause| self.failed(&format!("drop version {version}"), cause);
        let mut transaction = self.begin().await.map_err(failed)?;
        match removal::remove(&mut transaction, &self.projection, version).await {
            Err(VersionError::Store(Error::Store { cause, .. })) if is_no_table(&cause) => Err(self.not_there(version)),
            Err(error) => Err(error),
            Ok(()) => {
                transaction.commit().await.map_err(failed)?;
                self.store.signals.notify();
                Ok(())
            }
        }
    }

    /// Compares the rows of two versions, in one snapshot, table by table. Rows are compared by the columns that both have, as
    /// JSON.
    ///
    /// It reads all rows of both versions, and takes temporary space for them. Nobody is held up meanwhile.
    ///
    /// # Errors
    /// When one of the versions is not there, or the database fails.
    pub async fn diff(&self, old: u32, new: u32) -> Result<Diff, VersionError> {
        let failed = |cause| self.failed(&format!("compare the rows of versions {old} and {new}"), cause);
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut transaction = self.store.pool.begin_with(begin).await.map_err(failed)?;
        let versions = match positions::versions(&mut transaction, &self.projection).await {
            Ok(versions) => versions,
            Err(cause) if is_no_table(&cause) => Vec::new(),
            Err(cause) => return Err(failed(cause).into()),
        };
        let missing = [old, new].into_iter().find(|version| !versions.iter().any(|found| found.version == *version));
        match missing {
            Some(version) => Err(self.not_there(version)),
            None => Ok(diff::diff(&mut transaction, &self.projection, old, new).await.map_err(failed)?),
        }
    }

    /// Waits until those who read under the name of the projection find the rows of the command with this receipt, all of them,
    /// for up to 30 seconds: also when another version becomes current meanwhile.
    ///
    /// # Errors
    /// As [`Handle::wait_for`]; and when no version has become current in time.
    pub async fn wait_for(&self, receipt: &Receipt) -> Result<(), ReadError> {
        self.wait_for_within(receipt, TIMEOUT_DEFAULT).await
    }

    /// [`wait_for`](Versions::wait_for) with another timeout.
    ///
    /// # Errors
    /// As [`wait_for`](Versions::wait_for).
    pub async fn wait_for_within(&self, receipt: &Receipt, within: Duration) -> Result<(), ReadError> {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let what = match self.current().await {
                Ok(Some(version)) => {
                    let handle = Handle::new(self.store.clone(), self.projection.clone(), version);
                    match handle.wait_for_within(receipt, left.min(LOOK_AFTER)).await {
                        Err(ReadError::Timeout { what, .. }) => what,
                        // Another one may have become current before what was waited for was there.
                        waited => match self.current().await {
                            Ok(Some(current)) if current == version => return waited,
                            _ => format!("version {version} of projection `{}` to stay current", self.projection),
                        },
                    }
                }
                Ok(None) => format!("a version of projection `{}` to become current, by a switch", self.projection),
                Err(error) if error.is_retryable() => format!("the database to answer: {error}"),
                Err(error) => return Err(ReadError::Store(error.to_string())),
            };
            if Instant::now() >= until {
                return Err(ReadError::Timeout { what, after: within });
            }
            sleep(AGAIN_AFTER.min(left)).await;
        }
    }

    async fn begin(&self) -> sqlx::Result<Transaction<'static, Database>> {
        self.store.pool.begin_with(self.store.session.begin_own()).await
    }

    fn failed(&self, what: &str, cause: sqlx::Error) -> Error {
        Error::Store { what: format!("{what}, of projection `{}`", self.projection), cause }
    }

    fn not_there(&self, version: u32) -> VersionError {
        VersionError::NotThere { projection: self.projection.clone(), version }
    }
}

fn current(versions: &[positions::Found]) -> Option<u32> {
    versions.iter().find(|found| found.is_current).map(|found| found.version)
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Versions").field("projection", &self.projection).finish_non_exhaustive()
    }
}
