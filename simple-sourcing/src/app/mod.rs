//! What one process serves, and the handle to it while it runs.

mod handle;
mod options;
mod state;

use std::sync::Arc;

pub use handle::AppHandle;
pub use options::{AggregateOptions, ContractOptions};

use crate::{
    codec::Codecs,
    engine::{AggregateDefinition, AnyAggregate, Definition, Typed},
    error::StartError,
    model::{Aggregate, Command, Concurrency, Event, EventOf},
    port::Backend,
    settings::Settings,
};

/// What one process serves and sends commands to. Built up, then started on a backend.
///
/// ```
/// # use simple_sourcing::{App, Memory};
/// # tokio_test(async {
/// let app = App::new("bank").start(Memory::new()).await?;
/// app.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) });
/// # fn tokio_test<T>(f: impl Future<Output = Result<T, Box<dyn std::error::Error>>>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(f).unwrap();
/// # }
/// ```
#[must_use = "an app does nothing until it is started"]
#[derive(Debug)]
pub struct App {
    definition: Definition,
}

/// How many decoded states of one aggregate type a worker keeps unless told otherwise.
const STATES_CACHED_MAX: usize = 50_000;

impl App {
    /// An app without aggregates. Service processes of one name share the work.
    pub fn new(name: impl Into<String>) -> Self {
        App { definition: Definition { name: name.into(), aggregates: Vec::new() } }
    }

    /// Serves an aggregate type, with the default settings, and lets this process be its client.
    pub fn aggregate<A: Aggregate>(self) -> Self {
        self.aggregate_with::<A>(|options| options)
    }

    /// Serves an aggregate type with settings of its own.
    ///
    /// ```
    /// # use simple_sourcing::{App, Aggregate, Concurrency};
    /// # fn example<Account: Aggregate>() -> App {
    /// App::new("bank").aggregate_with::<Account>(|options| {
    ///     options.concurrency(Concurrency::Strict).settings(|settings| settings.events_per_command_max = 10)
    /// })
    /// # }
    /// ```
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
        let model = Some(model);
        self.definition.aggregates.push(AggregateDefinition { name, codecs, settings, states_cached_max, model });
        self
    }

    /// Lets this process be a client and a reader of an aggregate type that others serve.
    pub fn contract<C: Command>(self) -> Self {
        self.contract_with::<C>(|options| options)
    }

    /// The same with other options than the default. They should be those of the service.
    pub fn contract_with<C: Command>(mut self, configure: impl FnOnce(ContractOptions) -> ContractOptions) -> Self {
        let name = C::Event::AGGREGATE;
        let options = configure(ContractOptions { codecs: Codecs::new(name), settings: Settings::default() });
        let ContractOptions { codecs, settings } = options;
        let definition = AggregateDefinition { name, codecs, settings, states_cached_max: 0, model: None };
        self.definition.aggregates.push(definition);
        self
    }

    /// Starts on a backend: [`Memory`](crate::Memory), `Embedded`, or Kafka. When this returns, the
    /// app takes commands. Needs a tokio runtime with time enabled.
    ///
    /// # Errors
    /// When the app names an aggregate twice, or the backend does not start.
    pub async fn start(self, backend: impl Backend) -> Result<AppHandle, StartError> {
        let definition = Arc::new(self.definition);
        check(&definition)?;
        let port = backend.start(definition.clone()).await?;
        Ok(AppHandle::new(port, definition))
    }

    /// What a backend is given. For tests of a backend or of the engine alone.
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
        let reason = format!("its name `{}` must be of ASCII letters, digits, `.`, `_` and `-`", definition.name);
        return Err(StartError::Definition(reason));
    }
    let mut names: Vec<_> = definition.aggregates.iter().map(|aggregate| aggregate.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(StartError::Definition(format!(
            "aggregate `{}` is added twice; add each once, and give two types of one name different ones with \
             `#[event(name = \"...\")]`",
            pair[0]
        ))),
        None => Ok(()),
    }
}
