//! How far the topics were seen to go.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use simple_sourcing::BackendError;

use super::Topics;
use crate::naming::Topic;

/// The high watermark of each partition, as far as this process knows. It never decreases: if it seems to, the topic
/// was recreated or has lost records.
pub(crate) struct Ends {
    topics: Arc<[Topics]>,
    seen: Mutex<HashMap<(String, u32), i64>>,
    recreated: OnceLock<BackendError>,
}

impl Ends {
    pub(crate) fn new(topics: Arc<[Topics]>) -> Self {
        Ends { topics, seen: Mutex::default(), recreated: OnceLock::new() }
    }

    /// Notes the high watermark of a partition.
    ///
    /// # Errors
    /// If it was higher before.
    pub(crate) fn observe(&self, topic: &str, partition: u32, end: i64) -> Result<(), BackendError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.entry((topic.to_owned(), partition)).or_insert(end);
        if end < *before {
            return Err(self.other(topic, &format!("partition {partition} ended at {before}, and now ends at {end}")));
        }
        *before = end;
        Ok(())
    }

    /// A record was written before an earlier one of this process, which leaves no doubt.
    pub(crate) fn found_recreated(&self, topic: &str, partition: u32, earlier: i64, later: i64) -> BackendError {
        let why = format!("in partition {partition} a record was written at {later}, behind one at {earlier}");
        self.recreated.get_or_init(|| self.other(topic, &why)).clone()
    }

    /// What was found in that way.
    pub(crate) fn recreated(&self) -> Option<&BackendError> {
        self.recreated.get()
    }

    fn other(&self, name: &str, why: &str) -> BackendError {
        let mut all = self.topics.iter().flat_map(|topics| Topic::ALL.map(|topic| (topics, topic)));
        match all.find(|(topics, topic)| topics.name(*topic) == name) {
            Some((topics, topic)) => topics.recreated(topic, why),
            None => BackendError::failed(format!("topic `{name}` was deleted and recreated: {why}")),
        }
    }
}
