//! What one process serves, and the handle to it while it runs.

mod handle;
mod state;

use std::{fmt, sync::Arc};

pub use handle::AppHandle;

use crate::{
    engine::{AggregateDefinition, AnyAggregate, Definition, Typed},
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
        let defaults = AggregateOptions {
            settings: Settings::default(),
            concurrency: Concurrency::Any,
            states_cached_max: STATES_CACHED_MAX,
        };
        let AggregateOptions { settings, concurrency, states_cached_max } = configure(defaults);
        let model: Arc<dyn AnyAggregate> = Arc::new(Typed::<A> { concurrency });
        let name = EventOf::<A>::AGGREGATE;
        self.definition.aggregates.push(AggregateDefinition { name, settings, states_cached_max, model: Some(model) });
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
        self.contract_with::<C>(Settings::default())
    }

    /// [`contract`](App::contract) with other limits. They should be those of the service.
    pub fn contract_with<C: Command>(mut self, settings: Settings) -> Self {
        let name = C::Event::AGGREGATE;
        self.definition.aggregates.push(AggregateDefinition { name, settings, states_cached_max: 0, model: None });
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

fn check(definition: &Definition) -> Result<(), StartError> {
    let valid = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if !valid(&definition.name) {
        let reason = format!("its name `{}` must consist of ASCII letters, digits, `.`, `_` and `-`", definition.name);
        return Err(StartError::Definition(reason));
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

/// How an app serves one aggregate type.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
/// use simple_sourcing::Concurrency;
///
/// let app = App::new("bank").aggregate_with::<Account>(|options| {
///     options
///         .concurrency(Concurrency::Strict)    // clients must use `expect_sequence`
///         .settings(|settings| settings.events_per_command_max = 10)
///         .states_cached_max(10_000)
/// });
/// ```
#[must_use = "options are returned from the function that is given them"]
pub struct AggregateOptions<A: Aggregate> {
    settings: Settings,
    concurrency: Concurrency<A>,
    states_cached_max: usize,
}

impl<A: Aggregate> AggregateOptions<A> {
    /// What is required of the sequence that a client expects; [`Concurrency::Any`] by default.
    pub fn concurrency(mut self, concurrency: Concurrency<A>) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Changes the [limits](Settings).
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// How many decoded states a worker keeps between batches; it may keep up to twice as many. Default 50,000. Other states
    /// are decoded when they are needed.
    pub fn states_cached_max(mut self, states: usize) -> Self {
        self.states_cached_max = states;
        self
    }
}

impl<A: Aggregate> fmt::Debug for AggregateOptions<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateOptions")
            .field("settings", &self.settings)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
