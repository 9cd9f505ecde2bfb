use std::{fmt, sync::Arc};

use crate::{codec::Codecs, engine::typed::AnyAggregate, settings::Settings};

/// What an app is made of, as a backend sees it: names, limits, and the code of the aggregates behind an opaque interface.
#[derive(Debug)]
pub struct Definition {
    /// The app's name. Service processes of one name share the work.
    pub name: String,
    /// The aggregate types. A backend names one by its place here.
    pub aggregates: Vec<AggregateDefinition>,
}

/// One aggregate type of an app.
pub struct AggregateDefinition {
    /// The wire name, e.g. `account`.
    pub name: &'static str,
    /// How its commands, events and states are written and read.
    pub codecs: Codecs,
    /// The limits.
    pub settings: Settings,
    /// How many decoded states a worker keeps between batches, at most twice this many.
    pub states_cached_max: usize,
    /// The handlers and appliers; none where this process is a client only.
    pub(crate) model: Option<Arc<dyn AnyAggregate>>,
}

impl AggregateDefinition {
    /// Whether this process serves the aggregate, and is not only its client.
    pub fn is_served(&self) -> bool {
        self.model.is_some()
    }
}

impl fmt::Debug for AggregateDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateDefinition")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .field("served", &self.is_served())
            .finish_non_exhaustive()
    }
}
