//! A counter whose code can be made to fail, and whose key is a number, so that not every text is a key.

use std::{
    panic::resume_unwind,
    sync::{Arc, OnceLock},
};

use simple_sourcing::{
    BackendError,
    engine::Definition,
    port::{Backend, BoxFuture, Port},
    prelude::*,
};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{on_broker, topics::Topics};

pub(super) const PARTITIONS: u32 = 3;

/// The limits of the counters.
const BYTES_MAX: usize = 1000;
const EVENTS_PER_COMMAND_MAX: usize = 10;

#[event(key = u64)]
pub(super) enum CounterEvent {
    #[create]
    Created,
    Added {
        amount: u64,
    },
    Grown {
        bytes: usize,
    },
    Broken,
}

#[command(event = CounterEvent, error = CounterError)]
pub(super) enum CounterCommand {
    #[create]
    Create,
    Add {
        amount: u64,
    },
    /// Makes the state longer than the limit.
    Overgrow,
    /// Emits more events than the limit.
    Flood,
    /// The handler panics.
    Panic,
    /// The applier panics.
    Break,
    /// Is rejected, as it should be.
    Refuse,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("it has to be")]
pub(super) struct CounterError;

#[aggregate(command = CounterCommand)]
#[derive(Default)]
pub(super) struct Counter {
    pub(super) value: u64,
    ballast: String,
}

impl CounterHandler for Counter {
    fn create() -> Decision<Self> {
        emit(CounterEvent::Created)
    }

    fn add(&self, amount: u64) -> Decision<Self> {
        emit(CounterEvent::Added { amount })
    }

    fn overgrow(&self) -> Decision<Self> {
        emit(CounterEvent::Grown { bytes: BYTES_MAX })
    }

    fn flood(&self) -> Decision<Self> {
        emit(Events::new(CounterEvent::Created).and((0..EVENTS_PER_COMMAND_MAX).map(|_| CounterEvent::Created)))
    }

    fn panic(&self) -> Decision<Self> {
        quiet_panic("the handler gave up")
    }

    fn r#break(&self) -> Decision<Self> {
        emit([CounterEvent::Added { amount: 1_000_000 }, CounterEvent::Broken])
    }

    fn refuse(&self) -> Decision<Self> {
        reject(CounterError)
    }
}

impl CounterApplier for Counter {
    fn created() -> Self {
        Counter::default()
    }

    fn added(&mut self, amount: u64) {
        self.value += amount;
    }

    fn grown(&mut self, bytes: usize) {
        self.ballast = "x".repeat(bytes);
    }

    fn broken(&mut self) {
        quiet_panic("the applier gave up")
    }
}

/// A panic that is caught like any other, but that the panic hook does not print.
fn quiet_panic(what: &'static str) -> ! {
    resume_unwind(Box::new(what))
}

/// Kafka, with these topics.
pub(super) fn kafka(prefix: &str) -> Kafka {
    Kafka::new(on_broker::broker().bootstrap_servers()).prefix(prefix).partitions(PARTITIONS)
}

/// The topics of the counters.
pub(super) fn topics(prefix: &str) -> Topics {
    Topics::of(on_broker::broker().bootstrap_servers(), prefix, "counter", PARTITIONS)
}

/// A service of the counters.
pub(super) async fn start(backend: impl Backend) -> AppHandle {
    let app = App::new("counters").aggregate_with::<Counter>(|options| {
        options.settings(|limits| {
            (limits.command_bytes_max, limits.key_bytes_max) = (BYTES_MAX, 100);
            (limits.event_bytes_max, limits.state_bytes_max) = (BYTES_MAX, BYTES_MAX);
            limits.events_per_command_max = EVENTS_PER_COMMAND_MAX;
        })
    });
    app.start(backend).await.expect("the app starts")
}

/// Kafka, with access to its port.
pub(super) struct WithPort {
    kafka: Kafka,
    port: Arc<OnceLock<Arc<dyn Port>>>,
}

impl Backend for WithPort {
    fn start(self, definition: Arc<Definition>) -> BoxFuture<'static, Result<Arc<dyn Port>, BackendError>> {
        Box::pin(async move {
            let port = self.kafka.start(definition).await?;
            Ok(self.port.get_or_init(|| port).clone())
        })
    }
}

/// A service of the counters, and its port.
pub(super) async fn start_with_port(kafka: Kafka) -> (AppHandle, Arc<dyn Port>) {
    let port = Arc::default();
    let app = start(WithPort { kafka, port: Arc::clone(&port) }).await;
    (app, port.get().expect("it has started").clone())
}

/// A client of the counters, and its port.
pub(super) async fn start_client_with_port(kafka: Kafka) -> (AppHandle, Arc<dyn Port>) {
    let port = Arc::default();
    let app = App::new("counters").contract::<CounterCommand>();
    let app = app.start(WithPort { kafka, port: Arc::clone(&port) }).await.expect("the client starts");
    (app, port.get().expect("it has started").clone())
}
