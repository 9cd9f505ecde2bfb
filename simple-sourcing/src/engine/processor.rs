use std::{fmt, mem, sync::Arc};

use tracing::{debug, error, trace, trace_span};

use super::{
    Answer, Changes, CommandRecord, HashMap, Outcome, OutcomeRecord, Poison, Shard, StateRecord, Store, brief,
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
    batch: Batch,
    /// Look at the length of a state after each command and not once per batch.
    check_states: bool,
}

/// What is not committed yet, beside the states.
#[derive(Debug, Default)]
struct Batch {
    input: Vec<(usize, CommandRecord)>,
    changes: Changes,
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
        self.seen.clear();
        self.changes.clear(aggregates);
    }
}

/// Why an aggregate can't take part.
enum Unreadable {
    Store(BackendError),
    Decode(Undecodable),
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
        Processor { definition, states, batch, check_states: false }
    }

    /// Whether the batch has no command.
    pub fn is_empty(&self) -> bool {
        self.batch.input.is_empty()
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
            None => store.outcome(shard, command.id)?,
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
        let Processor { definition, states, batch, .. } = self;
        let AggregateDefinition { name, settings, model, .. } = &definition.aggregates[shard.aggregate];
        let Some(model) = model else {
            return Err(BackendError::failed(format!("a client of aggregate `{name}` was asked to serve it")));
        };
        if let Err(reason) = settings.check_lengths(&command.key, &command.payload) {
            return Ok((Answer::refused(&Refusal::Invalid(reason)), true));
        }
        let states = &mut states[shard.aggregate];
        let index = match find_or_load(states, store, shard, &command.key, &**model) {
            Ok(index) => index,
            Err(Unreadable::Store(error)) => return Err(error),
            Err(Unreadable::Decode(Undecodable::Key(reason))) => {
                return Ok((batch.put_aside(Refusal::Invalid, reason), true));
            }
            Err(Unreadable::Decode(Undecodable::State(reason))) => {
                let Position { partition, offset } = command.position;
                error!(aggregate = %name, key = %command.key, command_id = %command.id, partition, offset, reason, "quarantined: the stored state can't be read");
                return Ok((Answer::refused(&Refusal::Quarantined), false));
            }
        };
        let Slot { live, sequence, .. } = states.slot(index);
        let events = &mut batch.changes.aggregates[shard.aggregate].events;
        let before = events.len();
        let limits = Limits { settings, check_state: self.check_states };
        let answer = match model.execute(live, command, *sequence, limits, events) {
            Ok(()) => {
                let sequence = Sequence::new(sequence.get() + (events.len() - before) as u64);
                states.change(index, sequence, (command.position, command.time));
                Answer::Accepted(sequence)
            }
            Err(Failure::Refused(answer)) => answer,
            Err(Failure::Undecodable(reason)) => batch.put_aside(Refusal::Invalid, reason),
            Err(Failure::Failed(reason)) => batch.put_aside(Refusal::HandlerFailed, reason),
            Err(Failure::StateLost(reason)) => {
                let answer = batch.put_aside(Refusal::HandlerFailed, reason);
                let live = self.remake(store, shard, &command.key)?;
                self.states[shard.aggregate].slot(index).live = live;
                answer
            }
        };
        Ok((answer, true))
    }

    /// Makes a state again after its applier has failed half-way: what is committed, and the events of this batch.
    fn remake(&self, store: &dyn Store, shard: Shard, key: &Arc<str>) -> Result<Live, BackendError> {
        let failed = |reason| BackendError::failed(format!("the state of `{key}` can't be made again: {reason}"));
        let AggregateDefinition { name, model, .. } = self.aggregate(shard.aggregate);
        let model = model.as_ref().ok_or_else(|| failed(format!("aggregate `{name}` is not served here")))?;
        let bytes = store.state(shard, key)?.and_then(|stored| stored.state);
        let mut live = model.decode(key, bytes.as_deref()).map_err(|error| failed(error.reason()))?;
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
            self.aborted();
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
        self.batch.changes = changes;
        self.batch.clear(self.states.len());
    }

    /// The changes are not written, and never will be: everything is as before the batch.
    pub fn aborted(&mut self) {
        self.states.iter_mut().for_each(States::aborted);
        self.batch.clear(self.states.len());
    }

    /// The partition is served elsewhere from now on: what is cached of it is dropped. Between two batches.
    pub fn forget(&mut self, shard: Shard) {
        self.states[shard.aggregate].forget(shard.partition);
    }

    /// Somebody else has written to the store: all that is cached is dropped. Between two batches.
    pub fn forget_all(&mut self) {
        self.states.iter_mut().for_each(States::clear);
    }

    fn aggregate(&self, aggregate: usize) -> &AggregateDefinition {
        &self.definition.aggregates[aggregate]
    }
}

/// Where the aggregate is among the decoded states, as the commands of this batch left it; else from the store.
fn find_or_load(
    states: &mut States,
    store: &dyn Store,
    shard: Shard,
    key: &Arc<str>,
    model: &dyn AnyAggregate,
) -> Result<usize, Unreadable> {
    if let Some(index) = states.find(key) {
        return Ok(index);
    }
    let stored = store.state(shard, key).map_err(Unreadable::Store)?;
    let sequence = stored.as_ref().map_or(Sequence::ZERO, |stored| stored.sequence);
    let bytes = stored.and_then(|stored| stored.state);
    let live = model.decode(key, bytes.as_deref()).map_err(Unreadable::Decode)?;
    Ok(states.insert(key.clone(), Slot { partition: shard.partition, sequence, live, changed_by: None }))
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
