use std::sync::Arc;

use rdkafka::consumer::Consumer;
use simple_sourcing::{BackendError, engine::Definition};

use crate::{config::Kafka, reader::end_reader, restoring::Restoring, store::LocalStore, topics::Topics};

/// Where what is restored is kept, and who is told.
#[derive(Clone, Default)]
pub(super) struct Keeping {
    /// None where it is kept in memory.
    pub(super) store: Option<Arc<LocalStore>>,
    /// Which cluster and topics the store must be of, by aggregate type.
    pub(super) origins: Arc<[String]>,
    pub(super) restoring: Restoring,
    /// Whether the partitions that other processes serve are kept, too.
    pub(super) standby: bool,
}

impl Keeping {
    /// Opens the local store, if there is to be one.
    pub(super) fn open(kafka: &Kafka, definition: &Definition, topics: &[Topics]) -> Result<Self, BackendError> {
        let restoring = kafka.restoring.clone();
        let Some(directory) = &kafka.store else { return Ok(Keeping { restoring, ..Keeping::default() }) };
        let cluster = end_reader(kafka)?.client().fetch_cluster_id(kafka.connect_timeout);
        let cluster = cluster.ok_or_else(|| {
            BackendError::unavailable(format!(
                "the brokers do not say within {:?} which cluster they are",
                kafka.connect_timeout
            ))
        })?;
        let origins = topics.iter().map(|Topics { state, response, partitions, .. }| {
            format!(
                "topics `{state}` and `{response}` of {partitions} partitions on cluster {cluster}, app `{}`",
                definition.name
            )
        });
        let store = LocalStore::open(directory, kafka.store_cache_bytes)?;
        Ok(Keeping { store: Some(store), origins: origins.collect(), restoring, standby: kafka.standby })
    }
}
