use std::{fmt, sync::Arc};

use super::AggregateIndex;
use crate::{
    codec::Codecs,
    engine::{contract::AnyContract, typed::AnyAggregate},
    settings::Settings,
};

/// An app as a backend sees it: names, limits, and the code of the aggregates behind an opaque interface.
#[derive(Debug)]
pub struct Definition {
    /// The app's name. Service processes with the same name share the work.
    pub name: String,
    /// The aggregate types. A backend refers to one by its index here.
    pub aggregates: Vec<AggregateDefinition>,
}

impl Definition {
    /// The aggregate type with this wire name.
    pub fn find(&self, name: &str) -> Option<AggregateIndex> {
        self.aggregates.iter().position(|aggregate| aggregate.name == name).map(AggregateIndex::new)
    }
}

/// One aggregate type of an app.
pub struct AggregateDefinition {
    /// The wire name, e.g. `account`.
    pub name: &'static str,
    /// How its commands, events and states are written and read.
    pub codecs: Codecs,
    /// The limits.
    pub settings: Settings,
    /// How many decoded states a worker keeps between batches; it may keep up to twice as many.
    pub states_cached_max: usize,
    /// The commands, by name and as JSON.
    pub(crate) contract: Arc<dyn AnyContract>,
    /// The handlers and appliers; none if this process is only a client.
    pub(crate) model: Option<Arc<dyn AnyAggregate>>,
}

impl AggregateDefinition {
    /// Whether this process serves the aggregate type, rather than only being its client.
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
