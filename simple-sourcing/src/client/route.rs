use std::sync::Arc;

use crate::{codec::Codecs, engine::AggregateIndex, port::Port, settings::Settings};

/// Where commands go.
pub(crate) struct Route {
    pub(crate) port: Arc<dyn Port>,
    pub(crate) aggregate: AggregateIndex,
    /// The wire name of the aggregate type.
    pub(crate) name: &'static str,
    pub(crate) codecs: Codecs,
    pub(crate) settings: Settings,
}
