mod connect;
mod prepare;
mod records;
mod table;

use std::{fmt, path::Path};

use simple_sourcing::{
    ProjectionStore,
    follow::{Batch, Checkpoint, Resume},
    projection::{Part, TransactionalStore},
};
use sqlx::{SqliteConnection, SqlitePool, Transaction};

use crate::{error::Error, tables::Tables};

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
        let what = || format!("read the position of projection `{}`", part.projection);
        let connection = self.readers.acquire().await;
        let mut connection = connection.map_err(|cause| Error::store(what())(cause))?;
        records::resume(&mut connection, &part).await.map_err(|cause| Error::store(what())(cause))
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

    async fn commit(&self, transaction: Self::Transaction) -> Result<(), Error> {
        Ok(transaction.commit().await?)
    }

    fn is_retryable(error: &Error) -> bool {
        error.is_retryable()
    }
}
