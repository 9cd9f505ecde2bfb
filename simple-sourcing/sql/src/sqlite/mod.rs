mod connect;
mod prepare;
mod records;
mod reports;
mod steering;
mod table;

use std::{fmt, path::Path, time::Duration};

use simple_sourcing::{
    ProjectionStore,
    follow::{Batch, Checkpoint, Resume},
    projection::{Changes, ParkedCause, Part, Report, Reports, Steered, Steering, Stored, TransactionalStore},
};
use sqlx::{SqliteConnection, SqlitePool, Transaction};

use crate::{
    error::{Error, is_no_table},
    tables::Tables,
};

/// How often those who wait look again.
const RECHECK: Duration = Duration::from_millis(25);

/// Projections in a file of SQLite.
///
/// The tables of all projections are in the file, under the names that you give them, beside those of the library, which begin
/// with `simple_sourcing_`. One transaction writes at a time, also across processes. The file is in WAL mode, so readers are
/// not held up. A crash of the machine may take the last transactions away, rows and positions together; the events are then
/// projected again.
///
/// Clones share the connections.
///
/// ```no_run
/// # use simple_sourcing::AppHandle;
/// # use simple_sourcing::projection::{Projection, Running};
/// use simple_sourcing_sql::{Error, Sqlite};
///
/// # async fn start<Balances: Projection<Sqlite>>(app: AppHandle, balances: Balances) -> Result<(), Error> {
/// let database = Sqlite::open("bank.sqlite").await?;
/// let tables = "CREATE TABLE balances (account TEXT PRIMARY KEY, balance INTEGER NOT NULL)";
/// let balances = app.project(balances, database.tables(tables)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Sqlite {
    /// A single connection: SQLite has one writer at a time, and those of this process wait here, in order.
    writer: SqlitePool,
    readers: SqlitePool,
    tables: Tables,
}

impl Sqlite {
    /// Opens the file, which is created if it is not there.
    ///
    /// # Errors
    /// When it can't be created or read, or is no file of SQLite.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (writer, readers) = connect::pools(path.as_ref()).await?;
        Ok(Sqlite { writer, readers, tables: Tables::none() })
    }

    /// The store for a projection with these tables: statements that create them, with the indexes and whatever else belongs to
    /// the version. They run once, in one transaction.
    #[must_use]
    pub fn tables(&self, statements: &str) -> Self {
        Sqlite { tables: Tables::new(statements), ..self.clone() }
    }

    /// Connections for your own queries. They only read.
    pub fn pool(&self) -> &SqlitePool {
        &self.readers
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.writer.connect_options();
        f.debug_struct("Sqlite").field("file", &options.get_filename()).finish_non_exhaustive()
    }
}

impl ProjectionStore for Sqlite {
    type Connection = SqliteConnection;
    type Error = sqlx::Error;
}

impl TransactionalStore for Sqlite {
    type Transaction = Transaction<'static, sqlx::Sqlite>;
    type Failure = Error;

    async fn prepare(&self, projection: &str, version: u32, tables: Option<&str>) -> Result<(), Error> {
        prepare::prepare(&self.writer, &self.tables.of(tables), projection, version).await
    }

    async fn resume(&self, part: Part) -> Result<Resume, Error> {
        let failed = |cause| Error::store(format!("read the position of projection `{}`", part.projection))(cause);
        let mut reader = self.readers.acquire().await.map_err(failed)?;
        if let Some(resume) = records::resume(&mut reader, &part).await.map_err(failed)? {
            return Ok(resume);
        }
        drop(reader);
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        records::enter(&mut connection, &part).await.map_err(failed)?;
        let entered = records::resume(&mut connection, &part).await.map_err(failed)?;
        entered.ok_or_else(|| Error::Dropped { projection: part.projection.to_string(), version: part.version })
    }

    async fn begin(
        &self,
        part: Part,
        before: Checkpoint,
        after: Checkpoint,
    ) -> Result<Option<Self::Transaction>, Error> {
        // A transaction that began as a reader could not become a writer when somebody else has written in between.
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let is_at = records::advance(&mut transaction, &part, before, after).await?;
        Ok(is_at.then_some(transaction))
    }

    async fn park(
        &self,
        transaction: &mut Self::Transaction,
        part: Part,
        batch: &Batch,
        cause: &str,
    ) -> Result<(), Error> {
        let what = format!("park events of projection `{}`", part.projection);
        records::park(transaction, &part, batch, cause).await.map_err(Error::store(what))
    }

    async fn unpark(&self, transaction: &mut Self::Transaction, part: Part, batch: &Batch) -> Result<(), Error> {
        let what = format!("park events of projection `{}` no longer", part.projection);
        records::unpark(transaction, &part, batch).await.map_err(Error::store(what))
    }

    async fn commit(&self, transaction: Self::Transaction) -> Result<(), Error> {
        Ok(transaction.commit().await?)
    }

    async fn follows(&self, projection: &str, version: u32, aggregates: &[&'static str]) -> Result<(), Error> {
        let failed = |cause| Error::store(format!("prepare version {version} of projection `{projection}`"))(cause);
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        records::follows(&mut connection, projection, version, aggregates).await.map_err(failed)
    }

    async fn find(&self, projection: &str, version: u32) -> Result<Option<Stored>, Error> {
        let failed = |cause| Error::store(format!("read the positions of projection `{projection}`"))(cause);
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        match records::find(&mut connection, projection, version).await {
            // Nothing was ever prepared in this file.
            Err(cause) if is_no_table(&cause) => Ok(None),
            found => found.map_err(failed),
        }
    }

    async fn parked(&self, part: Part, command_offset: u64) -> Result<Option<ParkedCause>, Error> {
        let failed = |cause| Error::store(format!("read the parked events of projection `{}`", part.projection))(cause);
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        records::parked(&mut connection, &part, command_offset).await.map_err(failed)
    }

    async fn report(&self, projection: &str, version: u32, reports: &[Report]) -> Result<(), Error> {
        let failed = |cause| Error::store(format!("report the status of projection `{projection}`"))(cause);
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for report in reports {
            reports::write(&mut transaction, projection, version, report).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn reports(&self, projection: &str, version: u32) -> Result<Reports, Error> {
        let failed = |cause| Error::store(format!("read the status of projection `{projection}`"))(cause);
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        reports::read(&mut connection, projection, version).await.map_err(failed)
    }

    async fn steer(&self, projection: &str, version: u32, steering: &Steering) -> Result<Steered, Error> {
        let failed = |cause| Error::store(format!("steer version {version} of projection `{projection}`"))(cause);
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let steered = steering::steer(&mut transaction, projection, version, steering).await;
        if matches!(steered, Ok(Steered::Done)) {
            transaction.commit().await.map_err(failed)?;
        }
        steered
    }

    /// SQLite tells nobody. To look at a row takes some tens of microseconds.
    fn changes(&self) -> Changes {
        Changes::polled(RECHECK)
    }

    fn is_retryable(error: &Error) -> bool {
        error.is_retryable()
    }
}
