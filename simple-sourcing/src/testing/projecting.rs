use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use super::{difference_of, read_back};
use crate::{
    codec::{Payload, json},
    engine::{EventRecord, Logged},
    follow::{Batch, Checkpoint},
    model::{CommandId, Event, Key, Position, Sequence, Timestamp},
    projection::{Part, Projection, TransactionalStore},
};

/// A test of a projection: these events in, those rows out.
///
/// `projection` makes the projection, and `store` opens an empty store with its tables. Both are called for each run, of which
/// there are many: see [`rows`](Projecting::rows).
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
/// use std::collections::HashMap;
/// use simple_sourcing::{projection::{InMemory, InMemoryError}, testing::projecting};
///
/// /// The balance of each account.
/// #[projection(events(AccountEvent))]
/// pub struct Balances;
///
/// type Rows = HashMap<String, u64>;
///
/// impl AccountProjection<InMemory<Rows>> for Balances {
///     async fn deposited(&self, rows: &mut Rows, event: &EventMeta<String>, amount: u64) -> Result<(), InMemoryError> {
///         *rows.entry(event.key.clone()).or_default() += amount;
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let rows = projecting(|| Balances, async || InMemory::new(Rows::new()))
///     .events("alice", [AccountEvent::Deposited { amount: 30 }, AccountEvent::Deposited { amount: 20 }])
///     .events("bob", [AccountEvent::Deposited { amount: 1 }])
///     .rows(async |store| store.value().await)
///     .await;
/// assert_eq!(rows, HashMap::from([("alice".to_owned(), 50), ("bob".to_owned(), 1)]));
/// # }
/// ```
pub fn projecting<P, S, N, O>(projection: N, store: O) -> Projecting<N, O>
where
    P: Projection<S>,
    S: TransactionalStore,
    N: Fn() -> P,
    O: AsyncFn() -> S,
{
    Projecting { projection, store, events: Vec::new(), sequences: BTreeMap::new(), commands: 0 }
}

/// The events that a projection gets.
#[must_use = "nothing is projected until `rows` is called"]
pub struct Projecting<N, O> {
    projection: N,
    store: O,
    /// With the wire name of their aggregate type.
    events: Vec<(&'static str, Logged)>,
    sequences: BTreeMap<(&'static str, String), Sequence>,
    commands: u64,
}

/// How the events are cut into batches.
struct Cut {
    /// Before which events, from 1.
    before: Vec<usize>,
    /// Whether each batch is tried once before, and rolled back, and delivered again afterwards.
    again: bool,
}

impl<N, O> Projecting<N, O> {
    /// The events of one command to the aggregate with this key. They happen in the order of the calls, in one partition.
    ///
    /// # Panics
    /// When an event is not read back from its bytes as it was written.
    #[track_caller]
    pub fn events<E: Event>(mut self, key: impl Into<E::Key>, events: impl IntoIterator<Item = E>) -> Self {
        let (key, offset) = (key.into().to_text(), self.commands);
        let time = Timestamp::from_millis(offset);
        for event in events {
            let event = read_back(&format!("event `{}`", event.name()), &event);
            let sequence = self.sequences.entry((E::AGGREGATE, key.clone())).or_default();
            *sequence = sequence.next();
            let bytes = json::encode(&event).unwrap_or_else(|reason| panic!("an event can't be encoded: {reason}"));
            let record = EventRecord {
                key: Arc::from(&*key),
                sequence: *sequence,
                command_position: Position { partition: 0, offset },
                command_id: CommandId::first_of(time),
                time,
                name: event.name().into(),
                trace: None,
                payload: Payload::json(bytes),
            };
            let of_type = self.events.iter().filter(|(aggregate, _)| *aggregate == E::AGGREGATE).count();
            self.events.push((E::AGGREGATE, Logged { offset: of_type as u64, record }));
        }
        self.commands += 1;
        self
    }

    /// Projects the events, and reads the rows.
    ///
    /// It does so in every way in which they may come in production: all in one batch, in two batches that are cut before each of
    /// them, and one by one. One by one, each event is also projected in a transaction that is rolled back, as when the connection is
    /// lost, and delivered again after it was committed, as after a restart that believes in an earlier position.
    ///
    /// # Panics
    /// When the rows are not the same each time, and when the projection or the store fails.
    pub async fn rows<P, S, R>(self, read: impl AsyncFn(&S) -> R) -> R
    where
        P: Projection<S>,
        S: TransactionalStore,
        N: Fn() -> P,
        O: AsyncFn() -> S,
        R: PartialEq + Debug,
    {
        let whole = self.run(&Cut { before: Vec::new(), again: false }, &read).await;
        for cut in 1..self.events.len() {
            let rows = self.run(&Cut { before: vec![cut], again: false }, &read).await;
            let how = || format!("when the events come in two batches, cut before {}", self.describe(cut));
            same(&whole, &rows, how);
        }
        let one_by_one = Cut { before: (1..self.events.len()).collect(), again: true };
        let rows = self.run(&one_by_one, &read).await;
        same(&whole, &rows, || "when the events come one by one, each of them again and again".to_owned());
        whole
    }

    async fn run<P, S, R>(&self, cut: &Cut, read: &impl AsyncFn(&S) -> R) -> R
    where
        P: Projection<S>,
        S: TransactionalStore,
        N: Fn() -> P,
        O: AsyncFn() -> S,
    {
        let (projection, store) = ((self.projection)(), (self.store)().await);
        let prepared = store.prepare(projection.name(), projection.version(), projection.tables().as_deref()).await;
        prepared.unwrap_or_else(|error| panic!("the store can't be prepared: {error}"));
        let mut positions = BTreeMap::new();
        let mut begin = 0;
        for end in (1..=self.events.len()).filter(|end| self.is_cut(cut, *end)) {
            let aggregate = self.events[begin].0;
            let part = Part::new(projection.name().to_owned().into(), projection.version(), aggregate.into(), 0);
            let before = match positions.get(aggregate) {
                Some(position) => *position,
                None => position(&store, &part).await,
            };
            let events = self.events[begin..end].iter().map(|(_, logged)| logged.clone()).collect();
            let batch = Batch::made_up(aggregate, before, events);
            if cut.again {
                drop(self.project(&projection, &store, &part, &batch, begin).await);
            }
            let transaction = self.project(&projection, &store, &part, &batch, begin).await;
            store.commit(transaction).await.unwrap_or_else(|error| panic!("the store does not commit: {error}"));
            if cut.again {
                let begun = store.begin(part, batch.before(), batch.after()).await;
                let begun = begun.unwrap_or_else(|error| panic!("the store does not begin a transaction: {error}"));
                assert!(begun.is_none(), "the store takes the same events twice");
            }
            positions.insert(aggregate, batch.after());
            begin = end;
        }
        read(&store).await
    }

    /// Whether a batch ends before this event.
    fn is_cut(&self, cut: &Cut, event: usize) -> bool {
        // A batch has events of one type only.
        event == self.events.len() || cut.before.contains(&event) || self.events[event].0 != self.events[event - 1].0
    }

    async fn project<P: Projection<S>, S: TransactionalStore>(
        &self,
        projection: &P,
        store: &S,
        part: &Part,
        batch: &Batch,
        first: usize,
    ) -> S::Transaction {
        let begun = store.begin(part.clone(), batch.before(), batch.after()).await;
        let begun = begun.unwrap_or_else(|error| panic!("the store does not begin a transaction: {error}"));
        let mut transaction = begun.expect("nobody else moves the position");
        if let Err(error) = projection.project(&mut transaction, batch).await {
            panic!("the projection fails in the batch that begins with {}: {error}", self.describe(first));
        }
        transaction
    }

    fn describe(&self, event: usize) -> String {
        let (aggregate, Logged { record, .. }) = &self.events[event];
        format!("event {} (`{}` of {aggregate} `{}`)", event + 1, record.name, record.key)
    }
}

async fn position<S: TransactionalStore>(store: &S, part: &Part) -> Checkpoint {
    let resume = store.resume(part.clone()).await;
    resume.unwrap_or_else(|error| panic!("the position can't be read: {error}")).checkpoint
}

fn same<R: PartialEq + Debug>(expected: &R, actual: &R, how: impl FnOnce() -> String) {
    assert!(
        expected == actual,
        "the rows are others {}; a projection must keep nothing but in its store (- one batch, + now):\n{}",
        how(),
        difference_of(expected, actual)
    );
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    use super::*;
    use crate::{
        prelude::*,
        projection::{InMemory, InMemoryError},
    };

    #[event(key = u32)]
    enum CounterEvent {
        #[create]
        Started,
        Counted {
            by: u64,
        },
        #[delete]
        Stopped,
    }

    #[event(key = String)]
    enum BellEvent {
        #[create]
        Rung,
    }

    type Rows = BTreeMap<String, u64>;

    /// It counts, and may keep a count beside the store.
    #[projection(events(CounterEvent, BellEvent))]
    struct Counts {
        beside: Option<Arc<AtomicU64>>,
    }

    impl CounterProjection<InMemory<Rows>> for Counts {
        async fn started(&self, rows: &mut Rows, event: &EventMeta<u32>) -> Result<(), InMemoryError> {
            rows.insert(event.key.to_string(), 0);
            Ok(())
        }

        async fn counted(&self, rows: &mut Rows, event: &EventMeta<u32>, by: u64) -> Result<(), InMemoryError> {
            let count = rows.get_mut(&event.key.to_string()).ok_or("it has not started")?;
            *count += by;
            if let Some(beside) = &self.beside {
                *count = beside.fetch_add(by, Ordering::Relaxed) + by;
            }
            Ok(())
        }
    }

    impl BellProjection<InMemory<Rows>> for Counts {
        async fn rung(&self, rows: &mut Rows, _: &EventMeta<String>) -> Result<(), InMemoryError> {
            *rows.entry("bell".to_owned()).or_default() += 1;
            Ok(())
        }
    }

    async fn rows(beside: bool) -> Rows {
        let counts = move || Counts { beside: beside.then(Arc::default) };
        projecting(counts, async || InMemory::new(Rows::new()))
            .events(1u32, [CounterEvent::Started, CounterEvent::Counted { by: 3 }])
            .events("porch", [BellEvent::Rung])
            .events(1u32, [CounterEvent::Counted { by: 4 }, CounterEvent::Stopped])
            .rows(async |store| store.value().await)
            .await
    }

    #[tokio::test]
    async fn the_rows_are_those_of_all_events_once() {
        assert_eq!(rows(false).await, Rows::from([("1".to_owned(), 7), ("bell".to_owned(), 1)]));
    }

    #[tokio::test]
    #[should_panic(expected = "the rows are others when the events come one by one")]
    async fn what_is_kept_beside_the_store_is_found() {
        rows(true).await;
    }

    #[tokio::test]
    #[should_panic(
        expected = "the projection fails in the batch that begins with event 1 (`Counted` of counter `1`): it has not"
    )]
    async fn an_event_that_fails_is_named() {
        let test = projecting(|| Counts { beside: None }, async || InMemory::new(Rows::new()));
        test.events(1u32, [CounterEvent::Counted { by: 3 }]).rows(async |store| store.value().await).await;
    }
}
