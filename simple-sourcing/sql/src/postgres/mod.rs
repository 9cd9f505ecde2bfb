mod connect;
mod prepare;
mod records;
mod reports;
mod rights;
mod session;
mod signals;
mod steering;
mod table;
mod versions;

use std::{fmt, time::Duration};

use simple_sourcing::{
    ProjectionStore,
    follow::{Batch, Checkpoint, Resume},
    projection::{Changes, ParkedCause, Part, Report, Reports, Steered, Steering, Stored, TransactionalStore},
};
use sqlx::{PgConnection, PgPool, Transaction, postgres::PgConnectOptions};

pub use self::versions::{Apart, Diff, TableDiff, VersionError, Versions};
use self::{session::Session, signals::Signals};
use crate::{
    error::{Error, is_no_table},
    tables::Tables,
};

/// How many connections a projection has at most, unless the pool says otherwise.
const CONNECTIONS_MAX: u32 = 10;

/// Projections in a PostgreSQL database.
///
/// Version 1 of the projection `balances` has a schema of its own, `balances_v1`, which is the search path of its transactions:
/// its statements name its tables without a schema, and whatever else they use, such as functions of an extension, with one.
/// Positions and parked events are in the schema `simple_sourcing`.
///
/// Clones share the connections. A store with other [tables](Postgres::tables) has connections of its own.
///
/// ```no_run
/// # use simple_sourcing::AppHandle;
/// # use simple_sourcing::projection::{Projection, Running};
/// use simple_sourcing_sql::{Error, Postgres};
///
/// # async fn start<Balances: Projection<Postgres>>(app: AppHandle, balances: Balances) -> Result<(), Error> {
/// let database = Postgres::connect("postgres://bank@localhost/bank").await?;
/// let tables = "CREATE TABLE balances (account text PRIMARY KEY, balance bigint NOT NULL)";
/// let balances = app.project(balances, database.tables(tables)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Postgres {
    pool: PgPool,
    tables: Tables,
    session: Session,
    signals: Signals,
}

impl Postgres {
    /// Connects to the database at this URL, `postgres://user:password@host:5432/database`, and checks that it is there.
    ///
    /// # Errors
    /// When the URL is none, or no connection is made within 10 seconds.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_with(connect::parse(url)?).await
    }

    /// Connects with these options of sqlx, such as certificates.
    ///
    /// # Errors
    /// When no connection is made within 10 seconds.
    pub async fn connect_with(options: PgConnectOptions) -> Result<Self, Error> {
        Ok(Self::from_pool(connect::pool(options).await?))
    }

    /// With a pool that you have made. It bounds how many partitions are written at the same time.
    pub fn from_pool(pool: PgPool) -> Self {
        let signals = Signals::new(&pool.connect_options());
        Postgres { pool, tables: Tables::none(), session: Session::default(), signals }
    }

    /// The store for a projection with these tables: statements that create them, with the indexes and whatever else belongs to
    /// the version. They run once, in one transaction.
    ///
    /// It has connections of its own, with the same options: versions of one projection may run the same statement on tables of
    /// different types, which one connection could not prepare for both.
    #[must_use]
    pub fn tables(&self, statements: &str) -> Self {
        let options = PgConnectOptions::clone(&self.pool.connect_options());
        let pool = self.pool.options().clone().connect_lazy_with(options);
        Postgres { pool, tables: Tables::new(statements), session: self.session, signals: self.signals.clone() }
    }

    /// How long a statement waits for a lock that another transaction has; 5 seconds by default. After that, the batch is tried
    /// again.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.session.lock_timeout = timeout;
        self
    }

    /// How long a transaction may do nothing; 30 seconds by default. After that, PostgreSQL ends it, so a process that is
    /// stopped in a transaction can't keep its partitions for ever. A method of a projection must not wait longer for something
    /// else than the database.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.session.idle_timeout = timeout;
        self
    }

    /// The connections, for your own queries. Their search path is not that of a projection: name a table with its schema, as
    /// `balances_v1.balances`.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.pool.connect_options();
        let mut debug = f.debug_struct("Postgres");
        debug.field("host", &options.get_host()).field("port", &options.get_port());
        debug.field("database", &options.get_database()).field("session", &self.session).finish_non_exhaustive()
    }
}

impl ProjectionStore for Postgres {
    type Connection = PgConnection;
    type Error = sqlx::Error;
}

impl TransactionalStore for Postgres {
    type Transaction = Transaction<'static, sqlx::Postgres>;
    type Failure = Error;

    async fn prepare(&self, projection: &str, version: u32, tables: Option<&str>) -> Result<(), Error> {
        prepare::prepare(&self.pool, &self.tables.of(tables), projection, version).await
    }

    async fn resume(&self, part: Part) -> Result<Resume, Error> {
        let failed = |cause| Error::store(format!("read the position of projection `{}`", part.projection))(cause);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        if let Some(resume) = records::resume(&mut connection, &part).await.map_err(failed)? {
            return Ok(resume);
        }
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
        let mut transaction = self.pool.begin_with(self.session.begin(&part)).await?;
        // The first statement: whoever is fenced has written nothing, and whoever is not keeps the row until the end.
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

    async fn commit(&self, mut transaction: Self::Transaction) -> Result<(), Error> {
        // PostgreSQL answers the commit of a transaction in which a statement has failed by rolling it back, without an error.
        sqlx::query("SELECT 1").execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.signals.notify();
        Ok(())
    }

    async fn follows(&self, projection: &str, version: u32, aggregates: &[&'static str]) -> Result<(), Error> {
        let failed = |cause| Error::store(format!("prepare version {version} of projection `{projection}`"))(cause);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        records::follows(&mut connection, projection, version, aggregates).await.map_err(failed)?;
        self.signals.notify();
        Ok(())
    }

    async fn find(&self, projection: &str, version: u32) -> Result<Option<Stored>, Error> {
        let failed = |cause| Error::store(format!("read the positions of projection `{projection}`"))(cause);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        match records::find(&mut connection, projection, version).await {
            // Nothing was ever prepared in this database.
            Err(cause) if is_no_table(&cause) => Ok(None),
            found => found.map_err(failed),
        }
    }

    async fn parked(&self, part: Part, command_offset: u64) -> Result<Option<ParkedCause>, Error> {
        let failed = |cause| Error::store(format!("read the parked events of projection `{}`", part.projection))(cause);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        records::parked(&mut connection, &part, command_offset).await.map_err(failed)
    }

    async fn report(&self, projection: &str, version: u32, reports: &[Report]) -> Result<(), Error> {
        let failed = |cause| Error::store(format!("report the status of projection `{projection}`"))(cause);
        let mut transaction = self.pool.begin_with(self.session.begin_own()).await.map_err(failed)?;
        for report in reports {
            reports::write(&mut transaction, projection, version, report).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn reports(&self, projection: &str, version: u32) -> Result<Reports, Error> {
        let failed = |cause| Error::store(format!("read the status of projection `{projection}`"))(cause);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        reports::read(&mut connection, projection, version).await.map_err(failed)
    }

    async fn steer(&self, projection: &str, version: u32, steering: &Steering) -> Result<Steered, Error> {
        let failed = |cause| Error::store(format!("steer version {version} of projection `{projection}`"))(cause);
        let mut transaction = self.pool.begin_with(self.session.begin_own()).await.map_err(failed)?;
        let steered = steering::steer(&mut transaction, projection, version, steering).await;
        if matches!(steered, Ok(Steered::Done)) {
            transaction.commit().await.map_err(failed)?;
            self.signals.notify();
        }
        steered
    }

    fn changes(&self) -> Changes {
        self.signals.changes()
    }

    fn is_retryable(error: &Error) -> bool {
        error.is_retryable()
    }
}
