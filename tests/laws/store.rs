//! A store that does what it is told, and a log to decide.

use std::{collections::HashMap, sync::Arc};

use simple_sourcing::{
    BackendError, CommandId, Position, Sequence, Timestamp, codec,
    engine::{
        Changes, CommandRecord, EventRecord, Logged, Outcome, OutcomeRecord, Refold, Refolded, Shard, StateRecord,
        Store, StoredState,
    },
};

use crate::domain::CounterCommand;

/// What is committed of the one partition of the one aggregate type.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MemoryStore {
    pub(crate) states: HashMap<Arc<str>, StoredState>,
    pub(crate) events: Vec<EventRecord>,
    pub(crate) outcomes: HashMap<CommandId, Outcome>,
    /// All answers in the order of the commands.
    pub(crate) answers: Vec<OutcomeRecord>,
    /// The positions of the dead letters, and their causes.
    pub(crate) poison: Vec<(Position, String)>,
}

impl MemoryStore {
    /// Makes every state undecodable.
    pub(crate) fn damage_states(&mut self) {
        self.states.values_mut().for_each(|stored| stored.state = Some(codec::Payload::json("damaged")));
    }

    pub(crate) fn commit(&mut self, Changes { aggregates, outcomes, poison }: &Changes) {
        for changes in aggregates {
            self.events.extend(changes.events.iter().cloned());
            for StateRecord { key, sequence, command_position, state, .. } in &changes.states {
                let stored =
                    StoredState { sequence: *sequence, command_position: *command_position, state: state.clone() };
                self.states.insert(key.clone(), stored);
            }
        }
        for record in outcomes {
            if record.first {
                let before = self.outcomes.insert(record.id, record.outcome.clone());
                assert_eq!(before, None, "there is one first outcome of {}", record.id);
            }
        }
        self.answers.extend(outcomes.iter().cloned());
        self.poison.extend(poison.iter().map(|poison| (outcomes[poison.outcome].position, poison.cause.clone())));
    }
}

impl Store for MemoryStore {
    fn state(&self, _: Shard, key: &str) -> Result<Option<StoredState>, BackendError> {
        Ok(self.states.get(key).cloned())
    }

    fn refold(&self, mut refold: Refold) -> Refolded {
        let key = refold.key().clone();
        for (record, offset) in self.events.iter().zip(0..).filter(|(event, _)| event.key == key) {
            refold.event(&Logged { offset, record: record.clone() });
        }
        refold.finish(None).into()
    }

    fn outcome(&self, _: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        Ok(self.outcomes.get(&id).cloned())
    }
}

/// A command in the log. Ids are small numbers, all created in the same second.
pub(crate) fn command(
    offset: u64,
    key: &str,
    id: u64,
    expected: Option<Sequence>,
    command: &CounterCommand,
) -> CommandRecord {
    let text = format!("018bcfe5-6800-7000-8000-{id:012x}");
    CommandRecord {
        position: Position { partition: 0, offset },
        // Slightly after the ids were created.
        time: Timestamp::from_millis(1_700_000_000_000 + offset),
        key: key.into(),
        id: text.parse().expect("it is a UUID of version 7"),
        expected,
        trace: None,
        payload: codec::Payload::json(codec::json::encode(command).expect("a command encodes")),
    }
}
