use std::{fmt, mem, sync::Arc};

use tracing::{debug, error, trace, trace_span, warn};

use super::{
    Answer, Changes, CommandRecord, HashMap, Outcome, OutcomeRecord, Poison, Rebuild, Rebuilt, Shard, StateRecord,
    Store, StoredState, brief,
    rebuild::Quarantine,
    states::{Slot, States},
    typed::{AnyAggregate, Failure, Limits, Live, Undecodable},
};
use crate::{
    BackendError, CommandId, Position, Refusal, Sequence,
    backend::{AggregateDefinition, Definition},
    codec,
};

/// Decides commands in batches, for the aggregate types of one app. Owned by one worker.
///
/// Between [`process`](Processor::process) and [`committed`](Processor::committed) the results of a batch are visible
/// to its own later commands and to nobody else.
pub struct Processor {
    definition: Arc<Definition>,
    /// By aggregate type.
    states: Vec<States>,
    quarantine: Quarantine,
    batch: Batch,
    /// Commands that must not run, and why, by aggregate type and position. Kept until the batch has ended, because it may
    /// run again before.
    condemned: HashMap<(usize, Position), String>,
    /// Look at the length of a state after each command and not once per batch.
    check_states: bool,
}

/// What is not committed yet, beside the states.
#[derive(Debug, Default)]
struct Batch {
    input: Vec<(usize, CommandRecord)>,
    changes: Changes,
    event_bytes: usize,
    /// Where the first outcomes of this batch are among its changes.
    seen: HashMap<(Shard, CommandId), usize>,
}

impl Batch {
    /// Answers the command that is being decided, and notes that it is poison.
    fn put_aside(&mut self, refusal: fn(String) -> Refusal<()>, cause: String) -> Answer {
        let cause = brief(cause);
        let answer = Answer::refused(&refusal(cause.clone()));
        self.changes.poison.push(Poison { outcome: self.changes.outcomes.len(), cause });
        answer
    }

    /// Empties it for that many aggregate types, keeping what was allocated.
    fn clear(&mut self, aggregates: usize) {
        self.input.clear();
        self.event_bytes = 0;
        self.seen.clear();
        self.changes.clear(aggregates);
    }
}

/// Why an aggregate can't take part.
enum Unreadable {
    Store(BackendError),
    /// Its key is none of this type.
    Key(String),
    /// There is a state that can't be decoded, and none was made in its place yet.
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
        let mut batch = Batch::default();
        batch.clear(definition.aggregates.len());
        let (quarantine, condemned) = (Quarantine::default(), HashMap::default());
        Processor { definition, states, quarantine, batch, condemned, check_states: false }
    }

    /// Whether the batch has no command.
    pub fn is_empty(&self) -> bool {
        self.batch.input.is_empty()
    }

    /// How many bytes the events of the batch have.
    pub fn event_bytes(&self) -> usize {
        self.batch.event_bytes
    }

    /// Decides one command of an aggregate type, which is named by its place in the [`Definition`].
    ///
    /// # Errors
    /// When the store can't be read: the batch must be given up with [`aborted`](Processor::aborted). Whatever is wrong
    /// with the command or the user's code is no error here but the command's answer.
    ///
    /// # Panics
    /// When the definition has no such aggregate.
    pub fn process(&mut self, store: &dyn Store, aggregate: usize, command: CommandRecord) -> Result<(), BackendError> {
        let Position { partition, offset } = command.position;
        let name = self.aggregate(aggregate).name;
        let span =
            trace_span!("command", aggregate = name, key = %command.key, command_id = %command.id, partition, offset);
        let _span = span.enter();
        let shard = Shard { aggregate, partition };
        let fingerprint = codec::fingerprint(&command.key, &command.payload);
        let (outcome, first) = match self.known_outcome(store, shard, &command, fingerprint)? {
            Some(outcome) => (outcome, false),
            None => {
                let (answer, first) = self.run(store, shard, &command)?;
                let outcome = Outcome { fingerprint, position: command.position, answer };
                if first {
                    self.batch.seen.insert((shard, command.id), self.batch.changes.outcomes.len());
                }
                (outcome, first)
            }
        };
        log(name, &command, &outcome, first);
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

    /// Answers a command with `HandlerFailed` without running it, as poison with this cause: to run it would end the
    /// process, or what it writes can't be written. If it ran before, its first outcome is the answer, as always.
    ///
    /// # Errors
    /// As [`process`](Processor::process).
    ///
    /// # Panics
    /// As [`process`](Processor::process).
    pub fn condemn(
        &mut self,
        store: &dyn Store,
        aggregate: usize,
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
        fingerprint: u64,
    ) -> Result<Option<Outcome>, BackendError> {
        let refuse = |refusal| {
            let answer = Answer::refused(&refusal);
            Ok(Some(Outcome { fingerprint, position: command.position, answer }))
        };
        let seen = match self.batch.seen.get(&(shard, command.id)) {
            Some(&index) => Some(self.batch.changes.outcomes[index].outcome.clone()),
            None => match store.outcome(shard, command.id) {
                // Whether it ran is not known: it must not run now.
                Err(error @ BackendError::Damaged { .. }) => {
                    let CommandRecord { key, id, .. } = command;
                    error!(aggregate = self.aggregate(shard.aggregate).name, %key, command_id = %id, partition = shard.partition, %error, "a command is refused, because its outcome can't be read");
                    return refuse(Refusal::Expired(format!(
                        "what became of it is stored, and can't be read: {error}"
                    )));
                }
                outcome => outcome?,
            },
        };
        if let Some(first) = seen {
            return if first.fingerprint == fingerprint { Ok(Some(first)) } else { refuse(Refusal::IdReused) };
        }
        let settings = &self.aggregate(shard.aggregate).settings;
        let made = command.id.time();
        let window = settings.deduplication_window;
        if made < command.time.before(window) {
            let age = command.id.age(command.time);
            return refuse(Refusal::Expired(format!("it is {age:?} old, the window is {window:?}")));
        }
        let forgotten_before = store.forgotten_before(shard);
        if made < forgotten_before {
            return refuse(Refusal::Expired(format!(
                "more ids came within the window than are kept ({}, `deduplication_ids_max`)",
                settings.deduplication_ids_max
            )));
        }
        let ahead = made.since(command.time);
        if ahead > settings.clock_ahead_max {
            let max = settings.clock_ahead_max;
            return refuse(Refusal::Invalid(format!(
                "its id is {ahead:?} ahead of the log's time, over the limit of {max:?} (`clock_ahead_max`); set the \
                 client's clock"
            )));
        }
        Ok(None)
    }

    /// Runs a command that never ran: its answer, and whether that is to be remembered.
    fn run(
        &mut self,
        store: &dyn Store,
        shard: Shard,
        command: &CommandRecord,
    ) -> Result<(Answer, bool), BackendError> {
        if let Some(cause) = self.condemned.get(&(shard.aggregate, command.position)) {
            return Ok((self.batch.put_aside(Refusal::HandlerFailed, cause.clone()), true));
        }
        if let Err(reason) = self.aggregate(shard.aggregate).settings.check_lengths(&command.key, &command.payload) {
            return Ok((Answer::refused(&Refusal::Invalid(reason)), true));
        }
        let index = match self.find_or_load(store, shard, command) {
            Ok(index) => index,
            Err(Unreadable::Store(error)) => return Err(error),
            Err(Unreadable::Key(reason)) => return Ok((self.batch.put_aside(Refusal::Invalid, reason), true)),
            Err(Unreadable::Quarantined) => return Ok((Answer::refused(&Refusal::Quarantined), false)),
        };
        let Processor { definition, states, batch, .. } = self;
        let definition = &definition.aggregates[shard.aggregate];
        let (settings, model) = (&definition.settings, served(definition)?);
        let states = &mut states[shard.aggregate];
        let Slot { live, sequence, .. } = states.slot(index);
        let events = &mut batch.changes.aggregates[shard.aggregate].events;
        let before = events.len();
        let limits = Limits { settings, check_state: self.check_states };
        let answer = match model.execute(live, command, *sequence, limits, events) {
            Ok(()) => {
                let new = &events[before..];
                batch.event_bytes += new.iter().map(|event| event.payload.len()).sum::<usize>();
                let sequence = Sequence::new(sequence.get() + new.len() as u64);
                states.change(index, sequence, (command.position, command.time));
                Answer::Accepted(sequence)
            }
            Err(Failure::Refused(answer)) => answer,
            Err(Failure::Undecodable(reason)) => batch.put_aside(Refusal::Invalid, reason),
            Err(Failure::Failed(reason)) => batch.put_aside(Refusal::HandlerFailed, reason),
            Err(Failure::StateLost(reason)) => {
                let answer = batch.put_aside(Refusal::HandlerFailed, reason);
                let live = self.remake(store, shard, command)?;
                self.states[shard.aggregate].slot(index).live = live;
                answer
            }
        };
        Ok((answer, true))
    }

    /// Where the aggregate is among the decoded states, as the commands of this batch left it; else from the store.
    fn find_or_load(&mut self, store: &dyn Store, shard: Shard, command: &CommandRecord) -> Result<usize, Unreadable> {
        if let Some(index) = self.states[shard.aggregate].find(&command.key) {
            return Ok(index);
        }
        let (sequence, live) = self.load(store, shard, command)?;
        let slot = Slot { partition: shard.partition, sequence, live, changed_by: None };
        Ok(self.states[shard.aggregate].insert(command.key.clone(), slot))
    }

    /// What is committed of an aggregate.
    fn load(
        &mut self,
        store: &dyn Store,
        shard: Shard,
        command: &CommandRecord,
    ) -> Result<(Sequence, Live), Unreadable> {
        let key = &command.key;
        let model = served(self.aggregate(shard.aggregate)).map_err(Unreadable::Store)?;
        let Some(stored) = store.state(shard, key).map_err(Unreadable::Store)? else {
            let live = model.decode(key, None).map_err(|error| Unreadable::Key(error.reason()))?;
            return Ok((Sequence::ZERO, live));
        };
        match model.decode(key, stored.state.as_deref()) {
            Ok(live) => Ok((stored.sequence, live)),
            Err(Undecodable::Key(reason)) => Err(Unreadable::Key(reason)),
            Err(Undecodable::State(reason)) => self.rebuild(store, shard, command, &stored, &reason),
        }
    }

    /// Makes a state again that can't be decoded, now or in the background.
    fn rebuild(
        &mut self,
        store: &dyn Store,
        shard: Shard,
        command: &CommandRecord,
        stored: &StoredState,
        reason: &str,
    ) -> Result<(Sequence, Live), Unreadable> {
        let CommandRecord { key, time, .. } = command;
        if self.quarantine.holds(shard, key, *time) {
            return Err(Unreadable::Quarantined);
        }
        let (aggregate, partition, sequence) = (self.aggregate(shard.aggregate).name, shard.partition, stored.sequence);
        let model = served(self.aggregate(shard.aggregate)).map_err(Unreadable::Store)?;
        let rebuild = Rebuild::new(model.clone(), shard, key.clone(), stored);
        let rebuild = rebuild.map_err(|error| Unreadable::Key(error.reason()))?;
        match store.rebuild(rebuild) {
            Rebuilt::Made(made) => {
                warn!(aggregate, %key, partition, %sequence, reason, "a stored state can't be read; it was made again from its events");
                let live = model.decode(key, made.state.as_deref()).map_err(|_| Unreadable::Quarantined)?;
                return Ok((made.sequence, live));
            }
            Rebuilt::Failed(events) => {
                error!(aggregate, %key, partition, %sequence, reason, events, "quarantined: a stored state can't be read, and its events make none");
            }
            Rebuilt::UnderWay => {
                warn!(aggregate, %key, partition, %sequence, reason, "a stored state can't be read; it is made again from its events");
            }
        }
        self.quarantine.add(shard, key, *time);
        Err(Unreadable::Quarantined)
    }

    /// Makes a state again after its applier has failed half-way: what is committed, and the events of this batch.
    fn remake(&mut self, store: &dyn Store, shard: Shard, command: &CommandRecord) -> Result<Live, BackendError> {
        let key = &command.key;
        let failed = |reason| BackendError::failed(format!("the state of `{key}` can't be made again: {reason}"));
        let (_, mut live) = self.load(store, shard, command).map_err(|error| match error {
            Unreadable::Store(error) => error,
            Unreadable::Key(reason) => failed(reason),
            Unreadable::Quarantined => failed("what is stored can't be decoded any more".to_owned()),
        })?;
        let model = served(self.aggregate(shard.aggregate))?;
        for event in self.batch.changes.aggregates[shard.aggregate].events.iter().filter(|event| event.key == *key) {
            model.replay(&mut live, &event.payload).map_err(failed)?;
        }
        Ok(live)
    }

    /// Ends the batch: all that its commands have changed, for the backend to write in one atomic operation. Then
    /// either [`committed`](Processor::committed), which takes the changes back, or [`aborted`](Processor::aborted) must
    /// be called.
    ///
    /// # Errors
    /// When the store can't be read: the batch must be given up.
    pub fn finish(&mut self, store: &dyn Store) -> Result<Changes, BackendError> {
        if let Err(reason) = self.collect_states() {
            // Some command made a state that can't be stored. States are looked at once per batch, for speed; to find
            // the command, the batch runs again and they are looked at after each.
            debug!(reason, commands = self.batch.input.len(), "the batch runs again, command by command");
            let input = mem::take(&mut self.batch.input);
            let condemned = mem::take(&mut self.condemned);
            self.aborted();
            self.condemned = condemned;
            self.check_states = true;
            let again = input.into_iter().try_for_each(|(aggregate, command)| self.process(store, aggregate, command));
            self.check_states = false;
            again?;
            self.collect_states().map_err(BackendError::failed)?;
        }
        self.batch.changes.poison.iter().for_each(|poison| self.report(poison));
        Ok(mem::take(&mut self.batch.changes))
    }

    /// Not before the batch has ended: it may run twice.
    fn report(&self, Poison { outcome, cause }: &Poison) {
        let OutcomeRecord { aggregate, position, key, id, .. } = &self.batch.changes.outcomes[*outcome];
        let (aggregate, Position { partition, offset }) = (self.aggregate(*aggregate).name, *position);
        error!(aggregate, %key, command_id = %id, partition, offset, cause, "poison: a command can't be processed, and is answered so");
    }

    fn collect_states(&mut self) -> Result<(), String> {
        let Processor { definition, states, batch, .. } = self;
        for ((states, definition), changes) in
            states.iter().zip(&definition.aggregates).zip(&mut batch.changes.aggregates)
        {
            let Some(model) = &definition.model else { continue };
            for (key, slot) in states.changed() {
                let Some((command_position, time)) = slot.changed_by else { continue };
                let state = model.encode(&slot.live)?;
                let bytes = state.as_ref().map_or(0, |state| state.len());
                if bytes > definition.settings.state_bytes_max {
                    return Err(format!("the state of `{key}` has {bytes} bytes"));
                }
                let sequence = slot.sequence;
                changes.states.push(StateRecord { key: key.clone(), sequence, command_position, time, state });
            }
        }
        Ok(())
    }

    /// The changes are written: the states of the batch are the ones to go on from. What is left of the changes is taken
    /// back, for the room that it has.
    pub fn committed(&mut self, changes: Changes) {
        self.states.iter_mut().for_each(States::committed);
        self.condemned.clear();
        self.batch.changes = changes;
        self.batch.clear(self.states.len());
    }

    /// The changes are not written, and never will be: everything is as before the batch.
    pub fn aborted(&mut self) {
        self.states.iter_mut().for_each(States::aborted);
        self.condemned.clear();
        self.batch.clear(self.states.len());
    }

    /// The partition is served elsewhere from now on: what is cached of it is dropped. Between two batches.
    pub fn forget(&mut self, shard: Shard) {
        self.states[shard.aggregate].forget(shard.partition);
        self.quarantine.clear();
    }

    /// Somebody else has written to the store: all that is cached is dropped. Between two batches.
    pub fn forget_all(&mut self) {
        self.states.iter_mut().for_each(States::clear);
        self.quarantine.clear();
    }

    fn aggregate(&self, aggregate: usize) -> &AggregateDefinition {
        &self.definition.aggregates[aggregate]
    }
}

/// The code of an aggregate type.
fn served(aggregate: &AggregateDefinition) -> Result<&Arc<dyn AnyAggregate>, BackendError> {
    let name = aggregate.name;
    let not_served = || BackendError::failed(format!("a client of aggregate `{name}` was asked to serve it"));
    aggregate.model.as_ref().ok_or_else(not_served)
}

fn log(aggregate: &str, command: &CommandRecord, outcome: &Outcome, first: bool) {
    let CommandRecord { position: Position { partition, offset }, id, key, .. } = command;
    match &outcome.answer {
        Answer::Accepted(sequence) => {
            trace!(aggregate, %key, command_id = %id, partition, offset, %sequence, repeated = !first, "accepted");
        }
        Answer::Refused(answer) => {
            let answer = String::from_utf8_lossy(answer);
            debug!(aggregate, %key, command_id = %id, partition, offset, %answer, "refused");
        }
    }
}
