//! A state that can't be decoded is recreated from the events of its aggregate.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    HashMap, Shard, StoredState,
    typed::{AnyAggregate, Live, Undecodable},
};
use crate::{
    engine::Logged,
    model::{Position, Sequence, Timestamp},
};

/// A state that is being recreated. The engine starts it; the [`Store`](super::Store) gives it all events of the aggregate in
/// order, wherever and whenever that suits the store, and finishes it.
pub struct Refold {
    model: Arc<dyn AnyAggregate>,
    at: Shard,
    key: Arc<str>,
    /// The sequence of the state that can't be decoded; 0 if not even that can be read.
    stored: Sequence,
    live: Live,
    /// The sequence of the last event.
    sequence: Sequence,
    command_position: Position,
    /// Why the state can't be recreated from the events.
    broken: Option<String>,
}

impl Refold {
    pub(crate) fn new(
        model: Arc<dyn AnyAggregate>,
        at: Shard,
        key: Arc<str>,
        stored: &StoredState,
    ) -> Result<Self, Undecodable> {
        let live = model.decode(&key, None)?;
        let StoredState { sequence: stored, command_position, .. } = *stored;
        Ok(Refold { model, at, key, stored, live, sequence: Sequence::ZERO, command_position, broken: None })
    }

    /// The shard of the aggregate.
    pub fn shard(&self) -> Shard {
        self.at
    }

    /// The key of the aggregate, as text.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// Takes the next event.
    pub fn event(&mut self, Logged { offset, record }: &Logged) {
        let expected = self.sequence.next();
        if self.broken.is_none() {
            let applied = if record.sequence == expected {
                self.model.replay(&mut self.live, &record.payload)
            } else {
                Err(format!("event {expected} was expected"))
            };
            let (sequence, name, partition) = (record.sequence, &record.name, self.at.partition);
            self.broken = applied
                .err()
                .map(|reason| format!("event {sequence} (`{name}`, partition {partition}, offset {offset}): {reason}"));
        }
        self.sequence = self.sequence.max(record.sequence);
        self.command_position = record.command_position;
    }

    /// Records that the next event can't be read at all, and why.
    pub fn unreadable(&mut self, reason: String) {
        self.broken.get_or_insert(reason);
        self.sequence = self.sequence.next();
    }

    /// The state after all events. If the `latest` stored state can be decoded and is not behind the events, somebody has
    /// repaired it, and it is returned instead.
    ///
    /// # Errors
    /// Why there is no state.
    pub fn finish(self, latest: Option<StoredState>) -> Result<StoredState, String> {
        let Refold { model, key, stored, live, sequence, command_position, broken, .. } = self;
        if let Some(latest) = latest
            && latest.sequence >= sequence
            && model.decode(&key, latest.state.as_ref()).is_ok()
        {
            return Ok(latest);
        }
        if let Some(reason) = broken {
            return Err(reason);
        }
        // If there is a state, there was an event.
        if sequence < stored.max(Sequence::new(1)) {
            return Err(format!("its events end at {sequence}, but its state was at {stored}: events are missing"));
        }
        let state = model.encode(&live).map_err(|reason| format!("the state can't be encoded: {reason}"))?;
        let read_back = model.decode(&key, state.as_ref());
        read_back.map_err(|error| format!("the encoded state can't be decoded: {}", error.reason()))?;
        Ok(StoredState { sequence, command_position, state })
    }
}

impl fmt::Debug for Refold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refold").field("key", &self.key).field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// The result of a [`Refold`].
#[derive(Debug)]
pub enum Refolded {
    /// The state.
    Made(StoredState),
    /// Why there is none: the aggregate is quarantined, and a later command tries again.
    Failed(String),
    /// The store is still reading the events. [`Store::state`](super::Store::state) will return the result.
    UnderWay,
}

impl From<Result<StoredState, String>> for Refolded {
    fn from(made: Result<StoredState, String>) -> Self {
        made.map_or_else(Refolded::Failed, Refolded::Made)
    }
}

/// How often the state of a quarantined aggregate is refolded, by the time of the log: not with each command.
const RETRY_INTERVAL: Duration = Duration::from_secs(3);

/// How many quarantined aggregates are remembered.
const QUARANTINED_MAX: usize = 10_000;

/// The aggregates whose state could not be refolded, and when that was last tried.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    tried: HashMap<(Shard, Arc<str>), Timestamp>,
}

impl Quarantine {
    /// Whether it is too early to try again.
    pub(super) fn holds(&self, shard: Shard, key: &Arc<str>, now: Timestamp) -> bool {
        // The log's time goes back if a clock was wrong.
        let is_early = |tried: &Timestamp| *tried <= now && now.since(*tried) < RETRY_INTERVAL;
        self.tried.get(&(shard, key.clone())).is_some_and(is_early)
    }

    pub(super) fn add(&mut self, shard: Shard, key: &Arc<str>, now: Timestamp) {
        if self.tried.len() >= QUARANTINED_MAX {
            self.tried.clear();
        }
        self.tried.insert((shard, key.clone()), now);
    }

    pub(super) fn clear(&mut self) {
        self.tried.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::{
        codec::{Codecs, Payload},
        engine::{AggregateIndex, EventRecord, typed::Typed},
        model::{CommandId, Concurrency},
        prelude::*,
    };

    #[event(key = String)]
    pub(super) enum LampEvent {
        #[create]
        Mounted,
        Lit,
        #[delete]
        Broken,
    }

    #[command(event = LampEvent, error = LampError)]
    pub(super) enum LampCommand {
        #[create]
        Mount,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
    #[error("never")]
    pub(super) struct LampError;

    #[aggregate(command = LampCommand)]
    pub(super) struct Lamp {
        lit: u64,
    }

    impl LampHandler for Lamp {
        fn mount() -> Decision<Self> {
            emit(LampEvent::Mounted)
        }
    }

    impl LampApplier for Lamp {
        fn mounted() -> Self {
            Lamp { lit: 0 }
        }

        fn lit(&mut self) {
            self.lit += 1;
        }
    }

    const AT: Position = Position { partition: 0, offset: 9 };

    fn state(sequence: u64, state: Option<&'static str>) -> StoredState {
        let state = state.map(Payload::json);
        StoredState { sequence: Sequence::new(sequence), command_position: AT, state }
    }

    /// Refolds a state at this sequence, with these events, and with this latest state in the store.
    fn refold(stored: u64, events: &[(u64, &'static str)], latest: Option<StoredState>) -> Result<StoredState, String> {
        let (shard, model) = (
            Shard { aggregate: AggregateIndex::new(0), partition: 0 },
            Typed::<Lamp> { codecs: Codecs::new("lamp"), concurrency: Concurrency::Any },
        );
        let refold = Refold::new(Arc::new(model), shard, "hall".into(), &state(stored, Some("?")));
        let mut refold = refold.expect("it is a key");
        for (offset, (sequence, payload)) in events.iter().enumerate() {
            let record = EventRecord {
                key: "hall".into(),
                sequence: Sequence::new(*sequence),
                command_position: AT,
                command_id: CommandId::new(),
                time: Timestamp::from_millis(0),
                name: Cow::Borrowed("Event"),
                trace: None,
                payload: Payload::json(*payload),
            };
            match *payload {
                "unreadable" => refold.unreadable("no event".to_owned()),
                _ => refold.event(&Logged { offset: offset as u64, record }),
            }
        }
        refold.finish(latest)
    }

    const MOUNTED: (u64, &str) = (1, r#""Mounted""#);
    const LIT: (u64, &str) = (2, r#""Lit""#);
    const LIT_AGAIN: (u64, &str) = (3, r#""Lit""#);

    #[test]
    fn the_events_make_the_state() {
        let made = Ok(state(2, Some(r#"{"lit":1}"#)));
        assert_eq!(refold(2, &[MOUNTED, LIT], None), made);
        assert_eq!(refold(0, &[MOUNTED, LIT], None), made, "where the sequence of the state can't be read");
        assert_eq!(refold(2, &[MOUNTED, LIT], Some(state(2, Some("?")))), made, "what is stored is as bad as before");
        assert_eq!(refold(2, &[MOUNTED, (2, r#""Broken""#)], None), Ok(state(2, None)), "a deleted one");
    }

    #[test]
    fn events_that_are_missing_make_none() {
        let refused = |stored, events: &[_], reason: &str| {
            let made = refold(stored, events, None);
            assert!(made.as_ref().is_err_and(|error| error.contains(reason)), "{reason}: {made:?}");
        };
        refused(3, &[MOUNTED, LIT], "end at 2, but its state was at 3");
        refused(0, &[], "end at 0");
        refused(3, &[MOUNTED, LIT_AGAIN], "event 3 (`Event`, partition 0, offset 1): event 2 was expected");
        refused(2, &[MOUNTED, LIT, LIT], "event 2 (`Event`, partition 0, offset 2): event 3 was");
        refused(3, &[MOUNTED, (2, r#""Unheard""#), LIT_AGAIN], "event 2 (`Event`, partition 0, offset 1): unknown");
        refused(3, &[MOUNTED, (2, "unreadable"), LIT_AGAIN], "no event");
        refused(2, &[LIT, MOUNTED], "event 1 was expected");
    }

    #[test]
    fn a_repaired_state_is_taken_unless_it_is_behind_the_events() {
        let repaired = |sequence| Some(state(sequence, Some(r#"{"lit":7}"#)));
        let broken = [MOUNTED, (2, "unreadable"), LIT_AGAIN];
        assert_eq!(refold(3, &broken, repaired(3)).ok(), repaired(3));
        assert!(refold(3, &broken, repaired(2)).is_err(), "event 3 would come twice");
        let broken_last = [MOUNTED, (2, "unreadable")];
        assert!(refold(2, &broken_last, repaired(1)).is_err(), "event 2 would come twice");
        assert_eq!(refold(2, &broken_last, repaired(2)).ok(), repaired(2));
        assert_eq!(refold(3, &[MOUNTED], repaired(3)).ok(), repaired(3), "where events are lost");
    }
}
