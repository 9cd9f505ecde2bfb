use std::sync::Arc;

use simple_sourcing::{
    BackendError,
    engine::{AggregateIndex, Definition},
};

use crate::{
    cluster::{self, Owners},
    config::Kafka,
    status::Restoring,
    topics::Topics,
    worker::store::local::LocalStore,
};

/// Where restored partitions are kept, and who is told about the progress.
#[derive(Clone, Default)]
pub(in crate::worker) struct Storage {
    /// None if they are kept in memory.
    pub(in crate::worker) store: Option<Arc<LocalStore>>,
    /// The cluster and topics that the store must belong to, by aggregate type.
    pub(in crate::worker) origins: Arc<[String]>,
    pub(in crate::worker) restoring: Restoring,
    /// Knows which app serves an aggregate type; none in a simulation, which has one app.
    pub(in crate::worker) owners: Option<Arc<Owners>>,
    /// Whether copies of partitions that other processes serve are kept, too.
    pub(in crate::worker) standby: bool,
}

impl Storage {
    /// An error if another app has become the owner of an aggregate type. Blocks.
    pub(in crate::worker) fn check_owner(&self, aggregate: AggregateIndex) -> Result<(), BackendError> {
        self.owners.as_ref().map_or(Ok(()), |owners| owners.check(aggregate))
    }

    /// Opens the local store, if there is to be one.
    pub(in crate::worker) fn open(
        kafka: &Kafka,
        definition: &Definition,
        topics: &[Topics],
        owners: &Arc<Owners>,
    ) -> Result<Self, BackendError> {
        let (restoring, owners) = (kafka.restoring.clone(), Some(owners.clone()));
        let Some(directory) = &kafka.store else { return Ok(Storage { restoring, owners, ..Storage::default() }) };
        let cluster = cluster::id(kafka)?;
        let origins = topics.iter().map(|Topics { state, response, partitions, .. }| {
            format!(
                "topics `{state}` and `{response}` of {partitions} partitions on cluster {cluster}, app `{}`",
                definition.name
            )
        });
        let store = LocalStore::open(directory, kafka.store_cache_bytes)?;
        Ok(Storage { store: Some(store), origins: origins.collect(), restoring, owners, standby: kafka.standby })
    }
}
