use std::{fmt, mem, sync::Arc};

use tracing::{debug, error, trace_span, warn};

use super::{
    AggregateIndex, Answer, Changes, CommandRecord, EventRecord, HashMap, Outcome, OutcomeRecord, Poison, Refold,
    Refolded, Shard, StateRecord, Store, StoredState, logging,
    refold::Quarantine,
    states::{Slot, States},
    typed::{AnyAggregate, CommandFailure, Limits, Live, Undecodable},
    uncommitted::Uncommitted,
};
use crate::{
    codec::{Fingerprint, Payload},
    engine::{AggregateDefinition, Definition},
    error::BackendError,
    model::{Position, Refusal, Sequence},
};

/// Decides commands in batches, for the aggregate types of one app. Owned by one worker.
///
/// Between [`process`](Processor::process) and [`committed`](Processor::committed), only later commands of the same batch see
/// its results.
pub struct Processor {
    definition: Arc<Definition>,
    /// By aggregate type.
    states: Vec<States>,
    quarantine: Quarantine,
    batch: Uncommitted,
    /// Commands that must not run, and why, by aggregate type and position. Kept until the batch has ended, because the batch
    /// may run again before that.
    condemned: HashMap<(AggregateIndex, Position), String>,
    /// Check a state after each command rather than once per batch.
    check_states: bool,
}

/// The outcome of a command.
struct Decided {
    answer: Answer,
    /// The position for the receipt.
    position: Position,
    /// Whether the outcome must be remembered.
    first: bool,
}

/// A state from this batch that can't be stored.
struct Unstorable {
    aggregate: AggregateIndex,
    key: Arc<str>,
    reason: String,
}

/// Why an aggregate can't be loaded.
enum Unreadable {
    Store(BackendError),
    /// The text is not a key of this type.
    Key(String),
    /// Its stored state can't be decoded, and is not recreated yet.
    Quarantined,
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor").field("app", &self.definition.name).finish_non_exhaustive()
    }
}

impl Processor {
    /// A processor with empty caches.
    pub fn new(definition: Arc<Definition>) -> Self {
        let states = definition.aggregates.iter().map(|aggregate| States::new(aggregate.states_cached_max)).collect();
        let mut batch = Uncommitted::default();
        batch.clear(definition.aggregates.len());
        let (quarantine, condemned) = (Quarantine::default(), HashMap::default());
        Processor { definition, states, quarantine, batch, condemned, check_states: false }
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.batch.input.is_empty()
    }

    /// The size of the batch's events in bytes, including what each carries of its command.
    pub fn event_bytes(&self) -> usize {
        self.batch.event_bytes
    }

    /// Decides one command. The aggregate type is given by its index in the [`Definition`].
    ///
    /// # Errors
    /// When the store can't be read: the batch must be ended with [`aborted`](Processor::aborted). Whatever is wrong with the
    /// command or the user's code is not an error here but the outcome of the command.
    ///
    /// # Panics
    /// When the definition has no such aggregate.
    pub fn process(
        &mut self,
        store: &dyn Store,
        aggregate: AggregateIndex,
        command: CommandRecord,
    ) -> Result<(), BackendError> {
        let Position { partition, offset } = command.position;
        let name = self.aggregate(aggregate).name;
        let span =
            trace_span!("command", aggregate = name, key = &*command.key, command_id = %command.id, partition, offset);
        let _span = span.enter();
        let shard = Shard { aggregate, partition };
        let fingerprint = Fingerprint::of(&command.key, &command.payload);
        let (outcome, first) = match self.known_outcome(store, shard, &command, fingerprint)? {
            Some(outcome) => (outcome, false),
            None => {
                let Decided { answer, position, first } = self.run(store, shard, &command)?;
                let outcome = Outcome { fingerprint, position, answer };
                if first {
                    self.batch.seen.insert((shard, command.id), self.batch.changes.outcomes.len());
                }
                (outcome, first)
            }
        };
        logging::decided(name, &command, &outcome, first);
        self.batch.changes.outcomes.push(OutcomeRecord {
            aggregate,
            position: command.position,
            key: command.key.clone(),
            id: command.id,
            fingerprint,
            time: command.time,
            outcome,
            first,
        });
        self.batch.input.push((aggregate, command));
        Ok(())
    }

    /// Fails a command with `HandlerFailed` without running it, as poison with this cause: running it would kill the process,
    /// or its result can't be written. If it ran before, it gets its first outcome, as always.
    ///
    /// # Errors
    /// As [`process`](Processor::process).
    ///
    /// # Panics
    /// As [`process`](Processor::process).
    pub fn condemn(
        &mut self,
        store: &dyn Store,
        aggregate: AggregateIndex,
        command: CommandRecord,
        cause: String,
    ) -> Result<(), BackendError> {
        self.condemned.insert((aggregate, command.position), cause);
        self.process(store, aggregate, command)
    }

    /// The outcome of a command that must not run: it ran before, or nobody can tell whether it did.
    fn known_outcome(
        &self,
        store: &dyn Store,
        shard: Shard,
        command: &CommandRecord,
        fingerprint: Fingerprint,
    ) -> Result<Option<Outcome>, BackendError> {
        let refuse = |refusal| {
            let answer = Answer::refused(&refusal);
            Ok(Some(Outcome { fingerprint, position: command.position, answer }))
        };
        let seen = match self.batch.seen.get(&(shard, command.id)) {
            Some(&index) => Some(self.batch.changes.outcomes[index].outcome.clone()),
            None => match store.outcome(shard, command.id) {
                // It is not known whether it ran, so it must not run now.
                Err(error @ BackendError::Damaged { .. }) => {
                    let CommandRecord { key, id, .. } = command;
                    error!(aggregate = self.aggregate(shard.aggregate).name, %key, command_id = %id, partition = shard.partition, %error, "a command is refused, because the stored outcome of its id can't be read");
                    return refuse(Refusal::Expired(format!("its outcome is stored but can't be read: {error}")));
                }
                outcome => outcome?,
            },
        };
        if let Some(first) = seen {
            return if first.fingerprint.agrees(fingerprint) { Ok(Some(first)) } else { refuse(Refusal::IdReused) };
        }
        let settings = &self.aggregate(shard.aggregate).settings;
        let made = command.id.time();
        let window = settings.deduplication_window;
        if made < command.time.before(window) {
            let age = command.id.age(command.time);
            return refuse(Refusal::Expired(format!("it is {age:?} old, over the deduplication window of {window:?}")));
        }
        let forgotten_before = store.forgotten_before(shard);
        if made < forgotten_before {
            return refuse(Refusal::Expired(format!(
                "more ids arrived within the deduplication window than are remembered ({}, `deduplication_ids_max`)",
                settings.deduplication_ids_max
            )));
        }
        let ahead = made.since(command.time);
        if ahead > settings.clock_ahead_max {
            let max = settings.clock_ahead_max;
            return refuse(Refusal::Invalid(format!(
                "its id is {ahead:?} ahead of the log's time, over the limit of {max:?} (`clock_ahead_max`); correct the \
                 client's clock"
            )));
        }
        Ok(None)
    }

    /// Runs a command that has never run.
    fn run(&mut self, store: &dyn Store, shard: Shard, command: &CommandRecord) -> Result<Decided, BackendError> {
        let position = command.position;
        let answered = |answer| Ok(Decided { answer, position, first: true });
        if let Some(cause) = self.condemned.get(&(shard.aggregate, position)) {
            return answered(self.batch.dead_letter(Refusal::HandlerFailed, cause.clone()));
        }
        if let Err(reason) =
            self.aggregate(shard.aggregate).settings.check_lengths(&command.key, &command.payload.bytes)
        {
            return answered(Answer::refused(&Refusal::Invalid(reason)));
        }
        if let Err(reason) = self.aggregate(shard.aggregate).settings.check_trace(command.trace.as_deref()) {
            return answered(self.batch.dead_letter(Refusal::Invalid, reason));
        }
        let index = match self.find_or_load(store, shard, command) {
            Ok(index) => index,
            Err(Unreadable::Store(error)) => return Err(error),
            Err(Unreadable::Key(reason)) => return answered(self.batch.dead_letter(Refusal::Invalid, reason)),
            Err(Unreadable::Quarantined) => {
                return Ok(Decided { answer: Answer::refused(&Refusal::Quarantined), position, first: false });
            }
        };
        let Processor { definition, states, batch, .. } = self;
        let definition = &definition.aggregates[shard.aggregate];
        let (settings, model) = (&definition.settings, served(definition)?);
        let states = &mut states[shard.aggregate];
        let Slot { live, sequence, last_command, .. } = states.slot(index);
        let events = &mut batch.changes.aggregates[shard.aggregate].events;
        let before = events.len();
        let limits = Limits { settings, check_state: self.check_states };
        match model.execute(live, command, *sequence, limits, events) {
            Ok(()) if events.len() == before => {
                let position = last_command.unwrap_or(position);
                Ok(Decided { answer: Answer::Unchanged(*sequence), position, first: true })
            }
            Ok(()) => {
                let new = &events[before..];
                batch.event_bytes += new.iter().map(EventRecord::bytes).sum::<usize>();
                let sequence = Sequence::new(sequence.get() + new.len() as u64);
                states.change(index, sequence, (position, command.time));
                answered(Answer::Accepted(sequence))
            }
            Err(CommandFailure::Refused(answer)) => answered(answer),
            Err(CommandFailure::Undecodable(reason)) => answered(batch.dead_letter(Refusal::Invalid, reason)),
            Err(CommandFailure::Failed(reason)) => answered(batch.dead_letter(Refusal::HandlerFailed, reason)),
            Err(CommandFailure::StateLost(reason)) => {
                self.restore_state(store, shard, command, index, &reason)?;
                answered(self.batch.dead_letter(Refusal::HandlerFailed, reason))
            }
        }
    }

    /// The index of the aggregate among the decoded states, as the commands of this batch left it. Loads it if necessary.
    fn find_or_load(&mut self, store: &dyn Store, shard: Shard, command: &CommandRecord) -> Result<usize, Unreadable> {
        if let Some(index) = self.states[shard.aggregate].find(&command.key) {
            return Ok(index);
        }
        let slot = self.load(store, shard, command)?;
        Ok(self.states[shard.aggregate].insert(command.key.clone(), slot))
    }

    /// The committed state of an aggregate.
    fn load(&mut self, store: &dyn Store, shard: Shard, command: &CommandRecord) -> Result<Slot, Unreadable> {
        let (key, partition) = (&command.key, shard.partition);
        let model = served(self.aggregate(shard.aggregate)).map_err(Unreadable::Store)?;
        let Some(stored) = store.state(shard, key).map_err(Unreadable::Store)? else {
            let live = model.decode(key, None).map_err(|error| Unreadable::Key(error.reason()))?;
            return Ok(Slot { partition, sequence: Sequence::ZERO, last_command: None, live, changed_by: None });
        };
        let (stored, live) = match model.decode(key, stored.state.as_ref()) {
            Ok(live) => (stored, live),
            Err(Undecodable::Key(reason)) => return Err(Unreadable::Key(reason)),
            Err(Undecodable::State(reason)) => self.refold(store, shard, command, &stored, &reason)?,
        };
        let last_command = Some(stored.command_position);
        Ok(Slot { partition, sequence: stored.sequence, last_command, live, changed_by: None })
    }

    /// Recreates a state that can't be decoded, now or in the background.
    fn refold(
        &mut self,
        store: &dyn Store,
        shard: Shard,
        command: &CommandRecord,
        stored: &StoredState,
        reason: &str,
    ) -> Result<(StoredState, Live), Unreadable> {
        let CommandRecord { key, time, .. } = command;
        if self.quarantine.holds(shard, key, *time) {
            return Err(Unreadable::Quarantined);
        }
        let (aggregate, partition, sequence) = (self.aggregate(shard.aggregate).name, shard.partition, stored.sequence);
        let model = served(self.aggregate(shard.aggregate)).map_err(Unreadable::Store)?;
        let refold = Refold::new(model.clone(), shard, key.clone(), stored);
        let refold = refold.map_err(|error| Unreadable::Key(error.reason()))?;
        match store.refold(refold) {
            Refolded::Made(made) => {
                warn!(aggregate, key = &**key, partition, %sequence, reason, "a stored state can't be read; it was recreated from its events");
                let live = model.decode(key, made.state.as_ref()).map_err(|_| Unreadable::Quarantined)?;
                return Ok((made, live));
            }
            Refolded::Failed(events) => {
                error!(aggregate, key = &**key, partition, %sequence, reason, events, "quarantined: a stored state can't be read, and it can't be recreated from its events");
            }
            Refolded::UnderWay => {
                warn!(aggregate, key = &**key, partition, %sequence, reason, "a stored state can't be read; it is being recreated from its events");
            }
        }
        self.quarantine.add(shard, key, *time);
        Err(Unreadable::Quarantined)
    }

    /// Restores a state that a command left half changed, from the committed state and the events of this batch. If that
    /// fails too, the batch runs again without the command.
    fn restore_state(
        &mut self,
        store: &dyn Store,
        shard: Shard,
        command: &CommandRecord,
        index: usize,
        cause: &str,
    ) -> Result<(), BackendError> {
        match self.replayed(store, shard, command) {
            Ok(live) => {
                self.states[shard.aggregate].slot(index).live = live;
                Ok(())
            }
            Err(Unreadable::Store(error)) => Err(error),
            Err(Unreadable::Key(_) | Unreadable::Quarantined) => {
                self.states[shard.aggregate].spoil(index, (command.position, command.time));
                self.condemned.insert((shard.aggregate, command.position), cause.to_owned());
                self.run_again(store)
            }
        }
    }

    /// The committed state of an aggregate, with the events of this batch applied.
    fn replayed(&mut self, store: &dyn Store, shard: Shard, command: &CommandRecord) -> Result<Live, Unreadable> {
        let mut live = self.load(store, shard, command)?.live;
        let model = served(self.aggregate(shard.aggregate)).map_err(Unreadable::Store)?;
        let events = &self.batch.changes.aggregates[shard.aggregate].events;
        for event in events.iter().filter(|event| event.key == command.key) {
            // They could be applied before, so the code is not deterministic: don't continue with half a state.
            model.replay(&mut live, &event.payload).map_err(|_| Unreadable::Quarantined)?;
        }
        Ok(live)
    }

    /// Decides all commands of the batch again, on the committed states.
    fn run_again(&mut self, store: &dyn Store) -> Result<(), BackendError> {
        let input = mem::take(&mut self.batch.input);
        self.roll_back();
        input.into_iter().try_for_each(|(aggregate, command)| self.process(store, aggregate, command))
    }

    /// Ends the batch and returns its changes, for the backend to write in one atomic operation. Then either
    /// [`committed`](Processor::committed), which takes the changes back, or [`aborted`](Processor::aborted) must be called.
    ///
    /// # Errors
    /// When the store can't be read: the batch must be aborted.
    pub fn finish(&mut self, store: &dyn Store) -> Result<Changes, BackendError> {
        let mut collected = self.collect_states();
        if let Err(Unstorable { reason, .. }) = &collected {
            // Some command led to a state that can't be stored. For speed, states are checked once per batch; to find the
            // command, the batch runs again, and they are checked after each command.
            debug!(reason, commands = self.batch.input.len(), "the batch runs again, command by command");
            self.check_states = true;
            let again = self.run_again(store);
            self.check_states = false;
            again?;
            collected = self.collect_states();
        }
        // If no command is found, because the code is not deterministic, all commands to the aggregate are refused.
        while let Err(Unstorable { aggregate, key, reason }) = collected {
            let commands = self.batch.input.iter().filter(|(of, command)| *of == aggregate && command.key == key);
            let commands =
                commands.map(|(_, command)| ((aggregate, command.position), format!("the new state {reason}")));
            self.condemned.extend(commands);
            self.run_again(store)?;
            collected = self.collect_states();
        }
        // Not earlier, because a command may run twice.
        for Poison { outcome, cause } in &self.batch.changes.poison {
            let outcome = &self.batch.changes.outcomes[*outcome];
            logging::dead_letter(self.aggregate(outcome.aggregate).name, outcome, cause);
        }
        Ok(mem::take(&mut self.batch.changes))
    }

    fn collect_states(&mut self) -> Result<(), Unstorable> {
        let Processor { definition, states, batch, .. } = self;
        for (aggregate, (states, definition)) in AggregateIndex::each(states.iter().zip(&definition.aggregates)) {
            let Some(model) = &definition.model else { continue };
            let max = definition.settings.state_bytes_max;
            for (key, slot) in states.changed() {
                let Some((command_position, time)) = slot.changed_by else { continue };
                let unstorable = |reason| Unstorable { aggregate, key: key.clone(), reason };
                let state = model.encode(&slot.live).map_err(unstorable)?;
                let bytes = state.as_ref().map_or(0, Payload::len);
                if bytes > max {
                    return Err(unstorable(format!("has {bytes} bytes, over the limit of {max} (`state_bytes_max`)")));
                }
                let (key, sequence) = (key.clone(), slot.sequence);
                let states = &mut batch.changes.aggregates[aggregate].states;
                states.push(StateRecord { key, sequence, command_position, time, state });
            }
        }
        Ok(())
    }

    /// The changes are written, so the next batch continues from the states of this one. What is left of the changes is taken
    /// back, to reuse its allocations.
    pub fn committed(&mut self, changes: Changes) {
        self.condemned.clear();
        self.states.iter_mut().for_each(States::committed);
        self.batch.changes = changes;
        self.batch.clear(self.states.len());
    }

    /// The changes are not written, and never will be. Everything is as it was before the batch.
    pub fn aborted(&mut self) {
        self.condemned.clear();
        self.roll_back();
    }

    fn roll_back(&mut self) {
        self.states.iter_mut().for_each(States::aborted);
        self.batch.clear(self.states.len());
    }

    /// Drops what is cached of a partition, because another worker serves it from now on. Call it between two batches.
    pub fn forget(&mut self, shard: Shard) {
        self.states[shard.aggregate].forget(shard.partition);
        self.quarantine.clear();
    }

    /// Drops everything that is cached, because somebody else has written to the store. Call it between two batches.
    pub fn forget_all(&mut self) {
        self.states.iter_mut().for_each(States::clear);
        self.quarantine.clear();
    }

    fn aggregate(&self, aggregate: AggregateIndex) -> &AggregateDefinition {
        &self.definition.aggregates[aggregate]
    }
}

/// The code of an aggregate type.
fn served(aggregate: &AggregateDefinition) -> Result<&Arc<dyn AnyAggregate>, BackendError> {
    let name = aggregate.name;
    let not_served =
        || BackendError::failed(format!("this app is only a client of aggregate `{name}`, but was asked to serve it"));
    aggregate.model.as_ref().ok_or_else(not_served)
}
