use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use simple_sourcing::projection::{Changes, Signal};
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{runtime::Handle, sync::Notify, task::JoinHandle, time::sleep};

/// The channel has the name of the schema.
const CHANNEL: &str = "simple_sourcing";

const NOTIFY: &str = "NOTIFY simple_sourcing";

/// A process notifies once in this time at most: PostgreSQL commits one notification at a time in all databases of a server.
const APART: Duration = Duration::from_millis(5);

/// After this time, those who wait look again although no notification has come. It is lost when a connection is.
const RECHECK: Duration = Duration::from_secs(1);

/// How long to wait after a connection could not be made.
const RECONNECT: Duration = Duration::from_secs(1);

/// Notifications among processes: something may have changed.
///
/// They are sent after a commit, on a connection of their own. Whoever commits a transaction that notifies takes a lock of the
/// whole server.
#[derive(Clone)]
pub(super) struct Signals(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    /// There is something to notify of.
    pending: Arc<Notify>,
    received: Signal,
    notifier: Task,
    listener: Task,
}

impl Signals {
    pub(super) fn new(options: &PgConnectOptions) -> Self {
        let (pending, received) = Default::default();
        let (notifier, listener) = Default::default();
        Signals(Arc::new(Inner { options: options.clone(), pending, received, notifier, listener }))
    }

    /// Something was committed.
    pub(super) fn notify(&self) {
        let Inner { options, pending, notifier, .. } = &*self.0;
        pending.notify_one();
        notifier.run(|| notify(options.clone(), pending.clone()));
    }

    /// What others notify of, and this process.
    pub(super) fn changes(&self) -> Changes {
        let Inner { options, received, listener, .. } = &*self.0;
        listener.run(|| listen(options.clone(), received.clone()));
        received.changes(RECHECK)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

/// Runs from its first use on, until it is dropped.
#[derive(Default)]
struct Task(Mutex<Option<JoinHandle<()>>>);

impl Task {
    fn run<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce() -> F) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It ends with the runtime that it was started in.
        if running.as_ref().is_none_or(JoinHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            *running = Some(runtime.spawn(task()));
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let running = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        running.iter().for_each(JoinHandle::abort);
    }
}

async fn notify(options: PgConnectOptions, pending: Arc<Notify>) {
    let mut connection = None;
    loop {
        pending.notified().await;
        // A connection may have been lost since the last time; another one is made then, once.
        if send(&mut connection, &options).await.is_err() && send(&mut connection, &options).await.is_err() {
            sleep(RECONNECT).await;
        }
        sleep(APART).await;
    }
}

async fn send(connection: &mut Option<PgConnection>, options: &PgConnectOptions) -> sqlx::Result<()> {
    let mut connected = match connection.take() {
        Some(connected) => connected,
        None => options.connect().await?,
    };
    if let Err(error) = sqlx::query(NOTIFY).execute(&mut connected).await {
        let _ = connected.close_hard().await;
        return Err(error);
    }
    *connection = Some(connected);
    Ok(())
}

async fn listen(options: PgConnectOptions, received: Signal) {
    loop {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        if let Ok(mut listener) = PgListener::connect_with(&pool).await
            && listener.listen(CHANNEL).await.is_ok()
        {
            received.raise();
            // It connects again by itself; what came in between is lost, so that is a change, too.
            while listener.try_recv().await.is_ok() {
                received.raise();
            }
        }
        sleep(RECONNECT).await;
    }
}
