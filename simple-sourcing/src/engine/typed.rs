use std::{
    any::Any,
    borrow::Cow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde_json::Value;

use super::{Answer, CommandRecord, EventRecord};
use crate::{
    codec::{Codecs, Payload, Role, json},
    model::{
        Accepted, Aggregate, AppliedTo, Command, CommandRole, Concurrency, Context, ErrorOf, Event, EventOf, Events,
        HandledBy, Key, KeyOf, Mismatch, NotAccepted, Refusal, Resolution, Sequence,
    },
    settings::Settings,
};

/// An aggregate in memory: a [`State`] whose type only [`Typed`] knows.
pub(crate) struct Live(Box<dyn Any + Send>);

struct State<A: Aggregate> {
    /// None if the aggregate does not exist.
    state: Option<A>,
    /// The context of the last command; each command overwrites it.
    context: Context<KeyOf<A>>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live(..)")
    }
}

/// An aggregate type in terms of bytes, so that one worker can run many types.
pub(crate) trait AnyAggregate: Send + Sync {
    /// Decodes a state; none stands for an aggregate that does not exist.
    fn decode(&self, key: &str, state: Option<&Payload>) -> Result<Live, Undecodable>;

    /// Encodes a state, which must be read back unchanged; none if the aggregate does not exist.
    fn encode(&self, live: &Live) -> Result<Option<Payload>, String>;

    /// An encoded state as JSON.
    fn json(&self, state: &Payload) -> Result<Value, String>;

    /// Applies an encoded event to a state.
    fn replay(&self, live: &mut Live, event: &Payload) -> Result<(), String>;

    /// Decides a command. If it is accepted, its events are added and applied to the state. If there was nothing to do, or it
    /// was not accepted, no event is added.
    fn execute(
        &self,
        live: &mut Live,
        command: &CommandRecord,
        sequence: Sequence,
        limits: Limits<'_>,
        events: &mut Vec<EventRecord>,
    ) -> Result<(), CommandFailure>;
}

/// Which part of an aggregate can't be decoded, and why.
#[derive(Debug)]
pub(crate) enum Undecodable {
    Key(String),
    State(String),
}

impl Undecodable {
    pub(crate) fn reason(self) -> String {
        match self {
            Undecodable::Key(reason) | Undecodable::State(reason) => reason,
        }
    }
}

/// The limits for a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    pub(crate) settings: &'a Settings,
    /// Also encode the state after this command, to see whether this command makes it too long or unreadable.
    pub(crate) check_state: bool,
}

/// A command that was not accepted.
#[derive(Debug)]
pub(crate) enum CommandFailure {
    /// The domain refused it, or it broke a rule that its sender should know. The state is unchanged.
    Refused(Answer),
    /// It can't be decoded. The state is unchanged.
    Undecodable(String),
    /// The user's code failed. The state is unchanged.
    Failed(String),
    /// The user's code failed halfway: the state must be restored from what was there before.
    StateLost(String),
}

impl From<Refusal<()>> for CommandFailure {
    fn from(refusal: Refusal<()>) -> Self {
        CommandFailure::Refused(Answer::refused(&refusal))
    }
}

/// The one implementation of [`AnyAggregate`].
pub(crate) struct Typed<A: Aggregate> {
    pub(crate) codecs: Codecs,
    pub(crate) concurrency: Concurrency<A>,
}

impl<A: Aggregate> Typed<A> {
    fn state<'a>(&self, live: &'a mut Live) -> &'a mut State<A> {
        live.0.downcast_mut().expect("a state is only given to the type that made it")
    }

    /// Whether the command may run at the aggregate's current sequence.
    fn check_sequence(
        &self,
        command: &A::Command,
        expected: Option<Sequence>,
        State { state, context }: &State<A>,
    ) -> Result<(), CommandFailure> {
        let Some(expected) = expected else {
            let create = || {
                let variant = A::Command::VARIANTS.iter().find(|variant| variant.name == command.name());
                variant.is_some_and(|variant| variant.role == CommandRole::Create)
            };
            return if matches!(self.concurrency, Concurrency::Strict) && !create() {
                let what = "must name the sequence at which it expects the aggregate (`expect_sequence`): its concurrency is strict";
                Err(Refusal::Invalid(format!("`{}` {what}", command.name())).into())
            } else {
                Ok(())
            };
        };
        let actual = context.sequence;
        if expected == actual {
            return Ok(());
        }
        if let Concurrency::Resolve(resolve) = self.concurrency {
            let mismatch = Mismatch { key: &context.key, command, state: state.as_ref(), expected, actual };
            let resolution = catch_unwind(AssertUnwindSafe(|| resolve(&mismatch)))
                .map_err(|panic| failed("the concurrency policy panicked", &*panic))?;
            if resolution == Resolution::Accept {
                return Ok(());
            }
        }
        Err(Refusal::Conflict { expected, actual }.into())
    }

    /// Runs the handler.
    fn decide(
        &self,
        state: &State<A>,
        record: &CommandRecord,
        settings: &Settings,
    ) -> Result<Accepted<EventOf<A>>, CommandFailure> {
        let command: A::Command = self.codecs.decode(Role::Commands, &record.payload).map_err(|error| {
            CommandFailure::Undecodable(format!("not a command of aggregate `{}`: {error}", EventOf::<A>::AGGREGATE))
        })?;
        self.check_sequence(&command, record.expected, state)?;
        let State { state, context } = state;
        let decision = catch_unwind(AssertUnwindSafe(|| command.handle(state.as_ref(), context)))
            .map_err(|panic| failed("it panicked", &*panic))?;
        decision.map_err(|refused| match refused {
            NotAccepted::Rejected(error) => rejected::<A>(error, settings),
            NotAccepted::NotFound => Refusal::NotFound.into(),
            NotAccepted::AlreadyExists => Refusal::AlreadyExists.into(),
        })
    }

    /// Applies the events to the state. An error leaves the state half changed.
    fn apply(&self, state: &mut Option<A>, events: Events<EventOf<A>>, limits: Limits<'_>) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(|| events.into_iter().try_for_each(|event| event.apply_to(state))))
            .map_err(|panic| format!("the applier panicked: {}", panic_message(&*panic)))?
            .map_err(|misapplied| misapplied.to_string())?;
        if limits.check_state
            && let Some(state) = state
        {
            let bytes = self.encode_state(state).map_err(|reason| format!("the new state {reason}"))?.len();
            let max = limits.settings.state_bytes_max;
            if bytes > max {
                return Err(format!("the new state has {bytes} bytes, over the limit of {max} (`state_bytes_max`)"));
            }
        }
        Ok(())
    }

    fn encode_state(&self, state: &A) -> Result<Payload, String> {
        let payload =
            self.codecs.encode(Role::States, state).map_err(|reason| format!("can't be encoded: {reason}"))?;
        if !self.codecs.is_exact(A::EXACT) {
            self.codecs.read_back(Role::States, state, &payload)?;
        }
        Ok(payload)
    }

    /// Encodes the decided events, and returns them as they are read back from their bytes: a state follows from what the
    /// log says, not from what was meant.
    fn record(
        &self,
        decided: Events<EventOf<A>>,
        command: &CommandRecord,
        mut sequence: Sequence,
        settings: &Settings,
        events: &mut Vec<EventRecord>,
    ) -> Result<Events<EventOf<A>>, String> {
        let (count, max) = (decided.len(), settings.events_per_command_max);
        if count > max {
            return Err(format!("it returned {count} events, over the limit of {max} (`events_per_command_max`)"));
        }
        let mut all_bytes = 0;
        decided.try_map(|event| {
            let name = event.name();
            let payload = self
                .codecs
                .encode(Role::Events, &event)
                .map_err(|error| format!("event `{name}` can't be encoded: {error}"))?;
            let (bytes, max) = (payload.len(), settings.event_bytes_max);
            if bytes > max {
                return Err(format!("event `{name}` has {bytes} bytes, over the limit of {max} (`event_bytes_max`)"));
            }
            all_bytes += bytes;
            let max = settings.events_bytes_per_command_max;
            if all_bytes > max {
                return Err(format!("its {count} events have more than {max} bytes (`events_bytes_per_command_max`)"));
            }
            let event = if self.codecs.is_exact(EventOf::<A>::EXACT) {
                event
            } else {
                let read = self.codecs.read_back(Role::Events, &event, &payload);
                read.map_err(|reason| format!("event `{name}` {reason}"))?
            };
            sequence = sequence.next();
            events.push(EventRecord {
                key: command.key.clone(),
                sequence,
                command_position: command.position,
                command_id: command.id,
                time: command.time,
                name: Cow::Borrowed(name),
                trace: command.trace.clone(),
                payload,
            });
            Ok(event)
        })
    }
}

impl<A: Aggregate> AnyAggregate for Typed<A> {
    fn decode(&self, key: &str, state: Option<&Payload>) -> Result<Live, Undecodable> {
        let key = guard(|| KeyOf::<A>::from_text(key).map_err(|error| error.to_string())).map_err(Undecodable::Key)?;
        let state: Option<A> = guard(|| state.map(|state| self.codecs.decode(Role::States, state)).transpose())
            .map_err(Undecodable::State)?;
        Ok(Live(Box::new(State { state, context: Context::before_all(key) })))
    }

    fn encode(&self, live: &Live) -> Result<Option<Payload>, String> {
        let live: &State<A> = live.0.downcast_ref().expect("a state is only given to the type that made it");
        guard(|| live.state.as_ref().map(|state| self.encode_state(state)).transpose())
    }

    fn json(&self, state: &Payload) -> Result<Value, String> {
        guard(|| {
            let state: A = self.codecs.decode(Role::States, state)?;
            serde_json::to_value(state).map_err(|error| format!("it has no form in JSON: {error}"))
        })
    }

    fn replay(&self, live: &mut Live, event: &Payload) -> Result<(), String> {
        let event: EventOf<A> = guard(|| self.codecs.decode(Role::Events, event))?;
        let state = &mut self.state(live).state;
        guard(|| event.apply_to(state).map_err(|misapplied| misapplied.to_string()))
    }

    fn execute(
        &self,
        live: &mut Live,
        command: &CommandRecord,
        sequence: Sequence,
        limits: Limits<'_>,
        events: &mut Vec<EventRecord>,
    ) -> Result<(), CommandFailure> {
        let kept = events.len();
        let run = AssertUnwindSafe(|| {
            let state = self.state(live);
            let CommandRecord { id, time, ref trace, .. } = *command;
            state.context.set(sequence, id, time, trace);
            let Accepted::Events(decided) = self.decide(state, command, limits.settings)? else { return Ok(()) };
            let recorded =
                self.record(decided, command, sequence, limits.settings, events).map_err(CommandFailure::Failed)?;
            self.apply(&mut state.state, recorded, limits).map_err(CommandFailure::StateLost)
        });
        // Handlers and appliers have guards with better messages; this one is for the user's codecs and conversions.
        let result = catch_unwind(run).unwrap_or_else(|panic| {
            Err(CommandFailure::StateLost(format!("the user's code panicked: {}", panic_message(&*panic))))
        });
        if result.is_err() {
            events.truncate(kept);
        }
        result
    }
}

fn rejected<A: Aggregate>(error: ErrorOf<A>, settings: &Settings) -> CommandFailure {
    let max = settings.event_bytes_max;
    let reason = match json::encode(&Refusal::Rejected(error)) {
        Ok(bytes) if bytes.len() > max => {
            format!("an error of {} bytes, over the limit of {max} (`event_bytes_max`)", bytes.len())
        }
        Ok(bytes) => match json::decode::<Refusal<ErrorOf<A>>>(&bytes) {
            Ok(_) => return CommandFailure::Refused(Answer::Refused(bytes)),
            Err(reason) => format!("an error that can't be read back: {reason}"),
        },
        Err(reason) => format!("an error that can't be encoded: {reason}"),
    };
    CommandFailure::Failed(format!("it rejected the command with {reason}"))
}

fn failed(what: &str, panic: &(dyn Any + Send)) -> CommandFailure {
    CommandFailure::Failed(format!("{what}: {}", panic_message(panic)))
}

/// Runs user code that belongs to no command.
pub(crate) fn guard<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(format!("the user's code panicked: {}", panic_message(&*panic))))
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
