//! What one process serves, and the handle to it while it runs.

mod dead_letters;
mod dynamic;
mod handle;
mod options;
mod pages;
mod state;
mod states;
mod status;

use std::sync::Arc;

pub use dead_letters::DeadLetters;
pub use dynamic::DynamicClient;
pub use handle::AppHandle;
pub use options::{AggregateOptions, ContractOptions};
pub use states::States;
pub use status::{AggregateStatus, ServedPartition, Status};

use crate::{
    codec::Codecs,
    engine::{AggregateDefinition, AnyAggregate, AnyContract, Definition, Typed, TypedContract},
    error::StartError,
    model::{Aggregate, Command, Concurrency, Event, EventOf},
    port::Backend,
    settings::Settings,
};

/// What one process serves and sends commands to. Build it, then start it on a backend.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::new("bank").aggregate::<Account>().start(Memory::new()).await?;
/// let accounts: AccountClient = app.client();
/// accounts.open("alice").await?;
/// app.shutdown().await?;
/// # Ok(()) }
/// ```
#[must_use = "an app does nothing until it is started"]
#[derive(Debug)]
pub struct App {
    definition: Definition,
}

/// How many decoded states of one aggregate type a worker keeps by default.
const STATES_CACHED_MAX: usize = 50_000;

impl App {
    /// An app without aggregates. Service processes with the same name share the work.
    pub fn new(name: impl Into<String>) -> Self {
        App { definition: Definition { name: name.into(), aggregates: Vec::new() } }
    }

    /// Serves an aggregate type with the default options. This process can also be its client.
    pub fn aggregate<A: Aggregate>(self) -> Self {
        self.aggregate_with::<A>(|options| options)
    }

    /// Serves an aggregate type with [options](AggregateOptions) of its own.
    pub fn aggregate_with<A: Aggregate>(
        mut self,
        configure: impl FnOnce(AggregateOptions<A>) -> AggregateOptions<A>,
    ) -> Self {
        let options = configure(AggregateOptions {
            codecs: Codecs::new(EventOf::<A>::AGGREGATE),
            settings: Settings::default(),
            concurrency: Concurrency::Any,
            states_cached_max: STATES_CACHED_MAX,
        });
        let AggregateOptions { codecs, settings, concurrency, states_cached_max } = options;
        let model: Arc<dyn AnyAggregate> = Arc::new(Typed::<A> { codecs: codecs.clone(), concurrency });
        let name = EventOf::<A>::AGGREGATE;
        let (contract, model) = (contract::<A::Command>(), Some(model));
        let definition = AggregateDefinition { name, codecs, settings, states_cached_max, contract, model };
        self.definition.aggregates.push(definition);
        self
    }

    /// Makes this process a client and reader of an aggregate type that other processes serve.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let memory = Memory::new();
    /// # let service = App::new("bank").aggregate::<Account>().start(memory.clone()).await?;
    /// let app = App::new("web").contract::<AccountCommand>().start(memory.clone()).await?;
    /// let accounts: AccountClient = app.client();
    /// accounts.open("alice").await?;    // the app that serves accounts decides it
    /// # Ok(()) }
    /// ```
    pub fn contract<C: Command>(self) -> Self {
        self.contract_with::<C>(|options| options)
    }

    /// [`contract`](App::contract) with other options. They should be those of the service.
    pub fn contract_with<C: Command>(mut self, configure: impl FnOnce(ContractOptions) -> ContractOptions) -> Self {
        let name = C::Event::AGGREGATE;
        let options = configure(ContractOptions { codecs: Codecs::new(name), settings: Settings::default() });
        let ContractOptions { codecs, settings } = options;
        let (contract, model) = (contract::<C>(), None);
        let definition = AggregateDefinition { name, codecs, settings, states_cached_max: 0, contract, model };
        self.definition.aggregates.push(definition);
        self
    }

    /// Starts the app on a backend: [`Memory`](crate::Memory), `Embedded` or Kafka. When this returns, the app takes commands.
    /// Needs a tokio runtime with time enabled.
    ///
    /// # Errors
    /// When the app's name is invalid, an aggregate is added twice, or the backend does not start.
    pub async fn start(self, backend: impl Backend) -> Result<AppHandle, StartError> {
        let definition = Arc::new(self.definition);
        check(&definition)?;
        let port = backend.start(definition.clone()).await?;
        Ok(AppHandle::new(port, definition))
    }

    /// What a backend gets. For tests of a backend or the engine alone.
    #[doc(hidden)]
    pub fn into_definition(self) -> Definition {
        self.definition
    }
}

fn contract<C: Command>() -> Arc<dyn AnyContract> {
    Arc::new(TypedContract::<C>::new())
}

fn check(definition: &Definition) -> Result<(), StartError> {
    let valid = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if !valid(&definition.name) {
        let reason = format!("its name `{}` must consist of ASCII letters, digits, `.`, `_` and `-`", definition.name);
        return Err(StartError::Definition(reason));
    }
    for aggregate in &definition.aggregates {
        aggregate.codecs.check().map_err(StartError::Definition)?;
    }
    let mut names: Vec<_> = definition.aggregates.iter().map(|aggregate| aggregate.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(StartError::Definition(format!(
            "aggregate `{}` is added twice; add each type once, and give types with the same name different names with \
             `#[event(name = \"...\")]`",
            pair[0]
        ))),
        None => Ok(()),
    }
}
