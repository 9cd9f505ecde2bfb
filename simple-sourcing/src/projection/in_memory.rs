use std::{
    collections::HashMap,
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{NotStarted, Part, TransactionalStore};
use crate::{
    follow::{Batch, Checkpoint, Resume},
    model::ProjectionStore,
};

/// A store for tests of projections: one value in memory, with transactions. Each batch works on a copy of the value.
///
/// Clones share the value. Several projections have the same value, and positions of their own.
#[derive(Debug)]
pub struct InMemory<T> {
    content: Arc<Mutex<Content<T>>>,
}

#[derive(Debug, Default)]
struct Content<T> {
    value: T,
    positions: HashMap<Part, Resume>,
}

impl<T: Clone + Send + 'static> InMemory<T> {
    /// A store that holds this value.
    pub fn new(value: T) -> Self {
        InMemory { content: Arc::new(Mutex::new(Content { value, positions: HashMap::new() })) }
    }

    /// What is committed.
    pub async fn value(&self) -> T {
        self.content.lock().await.value.clone()
    }
}

impl<T> Clone for InMemory<T> {
    fn clone(&self) -> Self {
        InMemory { content: self.content.clone() }
    }
}

/// A transaction on the value of an [`InMemory`] store.
#[derive(Debug)]
pub struct Snapshot<T> {
    content: OwnedMutexGuard<Content<T>>,
    value: T,
    part: Part,
    resume: Resume,
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Snapshot<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// An error of a projection in memory. Any text is one: `Err("it is full".into())`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InMemoryError(String);

impl From<String> for InMemoryError {
    fn from(text: String) -> Self {
        InMemoryError(text)
    }
}

impl From<&str> for InMemoryError {
    fn from(text: &str) -> Self {
        InMemoryError(text.to_owned())
    }
}

impl From<NotStarted> for InMemoryError {
    fn from(cause: NotStarted) -> Self {
        InMemoryError(cause.to_string())
    }
}

impl fmt::Display for InMemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InMemoryError {}

impl<T: Clone + Send + 'static> ProjectionStore for InMemory<T> {
    type Connection = T;
    type Error = InMemoryError;
}

impl<T: Clone + Send + 'static> TransactionalStore for InMemory<T> {
    type Transaction = Snapshot<T>;
    type Failure = InMemoryError;

    async fn prepare(&self, _: &str, _: u32, _: Option<&str>) -> Result<(), InMemoryError> {
        Ok(())
    }

    async fn resume(&self, part: Part) -> Result<Resume, InMemoryError> {
        Ok(self.content.lock().await.positions.get(&part).cloned().unwrap_or_default())
    }

    async fn begin(
        &self,
        part: Part,
        before: Checkpoint,
        after: Checkpoint,
    ) -> Result<Option<Snapshot<T>>, InMemoryError> {
        let content = self.content.clone().lock_owned().await;
        let resume = content.positions.get(&part).cloned().unwrap_or_default();
        if resume.checkpoint != before {
            return Ok(None);
        }
        let value = content.value.clone();
        Ok(Some(Snapshot { content, value, part, resume: Resume { checkpoint: after, ..resume } }))
    }

    async fn park(&self, transaction: &mut Snapshot<T>, _: Part, batch: &Batch, _: &str) -> Result<(), InMemoryError> {
        for key in batch.keys() {
            if !transaction.resume.parked.iter().any(|parked| parked == key) {
                transaction.resume.parked.push(key.to_owned());
            }
        }
        Ok(())
    }

    async fn commit(&self, transaction: Snapshot<T>) -> Result<(), InMemoryError> {
        let Snapshot { mut content, value, part, resume } = transaction;
        content.value = value;
        content.positions.insert(part, resume);
        Ok(())
    }

    fn is_retryable(_: &InMemoryError) -> bool {
        false
    }
}
