use std::fmt;

use crate::{
    codec::{Codec, Codecs},
    model::{Aggregate, Concurrency},
    settings::Settings,
};

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
    pub(super) codecs: Codecs,
    pub(super) settings: Settings,
    pub(super) concurrency: Concurrency<A>,
    pub(super) states_cached_max: usize,
}

impl<A: Aggregate> AggregateOptions<A> {
    /// What is required of the sequence that a client expects; [`Concurrency::Any`] by default.
    pub fn concurrency(mut self, concurrency: Concurrency<A>) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Writes events and states with this codec from now on. What is there already is read as it was written, be it JSON,
    /// this codec, or one that is [also read](AggregateOptions::also_reads).
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codecs.write(codec);
        self
    }

    /// Reads what was written with this codec, by clients of the service or by an earlier version of it. JSON is always read.
    pub fn also_reads(mut self, codec: Codec) -> Self {
        self.codecs.read(codec);
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

/// How an app uses an aggregate type that others serve.
#[derive(Debug)]
#[must_use = "options are returned from the function that is given them"]
pub struct ContractOptions {
    pub(super) codecs: Codecs,
    pub(super) settings: Settings,
}

impl ContractOptions {
    /// Writes commands with this codec. The service must read it.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codecs.write(codec);
        self
    }

    /// Reads what the service has written with this codec. JSON is always read.
    pub fn also_reads(mut self, codec: Codec) -> Self {
        self.codecs.read(codec);
        self
    }

    /// Changes the limits, which should be those of the service.
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }
}
