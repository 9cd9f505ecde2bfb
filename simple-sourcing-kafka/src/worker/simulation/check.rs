//! What must be in the log once all is at rest: exactly what a single worker that nothing ever happens to would have
//! written. The commands alone determine that, so it is computed here once more, in a few lines and without the engine.

use std::collections::BTreeMap;

use simple_sourcing::{
    CommandId, Refusal, Sequence,
    codec::{Payload, json},
    engine::Answer,
    port::partition_of,
};

use super::{
    clients::{Command, Sent, refusal},
    domain::{REFUSED, Tally, TallyCommand, TallyError, TallyEvent},
    world::World,
};
use crate::{
    record::{OwnedRecord, Record},
    topics::Topics,
    wire::{self, Response},
};

/// An aggregate, as its events make it.
#[derive(Clone, Default)]
struct Model {
    sequence: u64,
    total: Option<u64>,
}

/// An event that the topic should have.
type Event = (usize, u64, CommandId, u64, TallyEvent);

/// A sequence, or why a command was refused.
type Decided = Result<u64, Refusal<TallyError>>;

/// The answer to an id, and whether it is the first.
type Answered = (CommandId, Decided, bool);

/// What the commands of one partition should lead to.
#[derive(Default)]
struct Expected {
    aggregates: BTreeMap<usize, Model>,
    events: Vec<Event>,
    answers: ByAddress<Vec<Answered>>,
    dead: Vec<u64>,
}

/// By address; without one for the responses.
type ByAddress<T> = BTreeMap<Option<u32>, T>;

impl Expected {
    /// An outcome that must be remembered is among the responses, and each answer is where it was asked for.
    fn answer(&mut self, answer_to: Option<u32>, answered: Answered) {
        if answered.2 && answer_to.is_some() {
            self.answers.entry(None).or_default().push(answered.clone());
        }
        self.answers.entry(answer_to).or_default().push(answered);
    }
}

/// Keeps the answers that must not be given twice. If a command leaves nothing to remember and somebody has moved the
/// committed offset, nobody knows that it was processed, so it is answered again.
fn first_ones(answers: &mut ByAddress<Vec<Answered>>) {
    answers.values_mut().for_each(|answers| answers.retain(|(.., first)| *first));
    answers.retain(|_, answers| !answers.is_empty());
}

impl Model {
    /// Decides a command, and applies its events.
    fn decide(&mut self, command: &Command) -> Result<Vec<TallyEvent>, Refusal<TallyError>> {
        let Some(what) = &command.command else { return Err(Refusal::Invalid(String::new())) };
        let actual = Sequence::new(self.sequence);
        if let Some(expected) = command.expected
            && expected != actual
        {
            return Err(Refusal::Conflict { expected, actual });
        }
        let events = match (what, self.total) {
            (TallyCommand::Begin, None) => vec![TallyEvent::Begun],
            (TallyCommand::Begin, Some(_)) => return Err(Refusal::AlreadyExists),
            (_, None) => return Err(Refusal::NotFound),
            (TallyCommand::Add { n }, _) => vec![TallyEvent::Added { n: *n }],
            (TallyCommand::AddTwice { n }, _) => vec![TallyEvent::Added { n: *n }, TallyEvent::Added { n: n + 1 }],
            (TallyCommand::Refuse, Some(total)) => return Err(Refusal::Rejected(TallyError { total })),
            (TallyCommand::Fail | TallyCommand::Die, _) => return Err(Refusal::HandlerFailed(String::new())),
            (TallyCommand::End, _) => vec![TallyEvent::Ended],
        };
        if events.contains(&TallyEvent::Added { n: REFUSED }) {
            return Err(Refusal::HandlerFailed(String::new()));
        }
        for event in &events {
            self.sequence += 1;
            self.total = match event {
                TallyEvent::Begun => Some(0),
                TallyEvent::Added { n } => self.total.map(|total| total.wrapping_mul(31).wrapping_add(*n)),
                TallyEvent::Ended => None,
            };
        }
        Ok(events)
    }
}

impl World {
    /// Panics if anything is not as it should be.
    pub(super) fn check(&mut self) {
        for partition in 0..self.topics[0].partitions {
            self.check_partition(partition);
        }
        self.read_answers();
        let told = std::mem::take(&mut self.clients.told);
        for sent in self.clients.log.values().flatten() {
            if let Sent::Command(command, _) = sent
                && !self.clients.given_up.contains(&command.id)
            {
                assert!(told.contains_key(&command.id), "{} is in the log and was never answered", command.id);
            }
        }
        self.clients.told = told;
    }

    fn check_partition(&mut self, partition: u32) {
        let log = self.clients.log.get(&partition).cloned().unwrap_or_default();
        let mut answers = self.answers(partition);
        let mut expected = self.expected(&log, &answers.commands);
        if self.moved.contains(&partition) {
            [&mut answers.commands, &mut expected.answers].into_iter().for_each(first_ones);
        }
        assert_eq!(answers.commands, expected.answers, "the answers of partition {partition}");
        assert_eq!(self.events(partition), expected.events, "the events of partition {partition}");
        let mut dead = self.dead_letters(partition);
        if self.moved.contains(&partition) {
            dead.dedup();
        }
        assert_eq!(dead, expected.dead, "the dead letters of partition {partition}");
        let states = self.states(partition);
        for (key, model) in &expected.aggregates {
            let state = states.get(key).cloned().unwrap_or_default();
            assert_eq!(state, (model.sequence, model.total), "the state of {key}, in the topic");
        }
        for sent in &log {
            if let Sent::Question { key, id, answer_to } = sent {
                let model = expected.aggregates.get(key).cloned().unwrap_or_default();
                let answer = answers.states.get(&(*answer_to, *id));
                assert_eq!(answer, Some(&(model.sequence, model.total)), "the state of {key}, served");
            }
        }
        let consumed = self.group.committed.iter().find(|(shard, _)| shard.partition == partition);
        let consumed = consumed.map_or(0, |(_, (next, _))| *next);
        assert_eq!(consumed, log.len() as i64, "the consumed offset of partition {partition}");
    }

    /// What the commands of a partition should lead to. If an aggregate was damaged, the answer that it is quarantined
    /// is accepted: the command then did not run.
    fn expected(&self, log: &[Sent], actual: &ByAddress<Vec<Answered>>) -> Expected {
        let mut expected = Expected::default();
        let mut seen: BTreeMap<CommandId, (&[u8], Decided)> = BTreeMap::new();
        for (offset, sent) in log.iter().enumerate() {
            let (command, answer_to) = match sent {
                Sent::Command(command, answer_to) => (command, *answer_to),
                Sent::Malformed => {
                    expected.dead.push(offset as u64);
                    continue;
                }
                Sent::Question { .. } => continue,
            };
            let Command { key, id, payload, .. } = &**command;
            if let Some((first, answer)) = seen.get(id) {
                let answer = if *first == &**payload { answer.clone() } else { Err(Refusal::IdReused) };
                expected.answer(answer_to, (*id, answer, false));
                continue;
            }
            let before = expected.answers.get(&answer_to).map_or(0, Vec::len);
            if self.damaged.contains(key)
                && let Some((_, Err(Refusal::Quarantined), _)) = actual.get(&answer_to).and_then(|it| it.get(before))
            {
                expected.answer(answer_to, (*id, Err(Refusal::Quarantined), false));
                continue;
            }
            let model = expected.aggregates.entry(*key).or_default();
            let before = model.sequence;
            let decided = model.decide(command);
            if matches!(decided, Err(Refusal::Invalid(_) | Refusal::HandlerFailed(_))) {
                expected.dead.push(offset as u64);
            }
            let answer = decided.map(|events| {
                let numbered = (before + 1..).zip(events);
                expected.events.extend(numbered.map(|(n, event)| (*key, n, *id, offset as u64, event)));
                model.sequence
            });
            seen.insert(*id, (payload, answer.clone()));
            expected.answer(answer_to, (*id, answer, true));
        }
        expected
    }

    fn visible<T>(&mut self, topic: &str, partition: u32, mut read: impl FnMut(&Self, &OwnedRecord) -> T) -> Vec<T> {
        let (mut next, mut all) = (0, Vec::new());
        while let Some((offset, message)) = self.partition(topic, partition).committed_from(next) {
            let message = message.clone();
            next = offset + 1;
            all.push(read(self, &message));
        }
        assert_eq!(self.partition(topic, partition).stable_end(), self.partition(topic, partition).end());
        all
    }

    fn key_of(&self, key: &str) -> usize {
        self.clients.keys.iter().position(|own| own == key).expect("a key of a client")
    }

    fn events(&mut self, partition: u32) -> Vec<Event> {
        let topics = self.topics.clone();
        self.visible(&topics[0].event, partition, |world, message| {
            let event = wire::read_event(message).expect("an event is read").record;
            let payload = json::decode(&event.payload.bytes).expect("an event is decoded");
            let (key, offset) = (world.key_of(&event.key), event.command_position.offset);
            (key, event.sequence.get(), event.command_id, offset, payload)
        })
    }

    /// The last state of each key.
    fn states(&mut self, partition: u32) -> BTreeMap<usize, (u64, Option<u64>)> {
        let topics = self.topics.clone();
        let states = self.visible(&topics[0].state, partition, |world, message| {
            let (key, state) = wire::read_state(message).expect("a state is read");
            (world.key_of(&key), (state.sequence.get(), state.state))
        });
        let latest: BTreeMap<_, _> = states.into_iter().collect();
        let decode = |state: Payload| json::decode::<Tally>(&state.bytes).expect("a state is decoded").total;
        latest.into_iter().map(|(key, (sequence, state))| (key, (sequence, state.map(decode)))).collect()
    }

    fn dead_letters(&mut self, partition: u32) -> Vec<u64> {
        let topics = self.topics.clone();
        let mut offsets = self.visible(&topics[0].dead_letter, partition, |_, message| {
            let offset = message.headers().find(|header| header.key == "dead_letter_offset");
            let offset = offset.and_then(|header| header.value);
            let offset = offset.and_then(|offset| std::str::from_utf8(offset).ok()?.parse().ok());
            offset.expect("a dead letter has an offset")
        });
        // Within a batch, records that are not commands come first.
        offsets.sort_unstable();
        offsets
    }

    /// All answers to the commands of a partition.
    fn answers(&mut self, partition: u32) -> Answers {
        let topics = self.topics.clone();
        let Topics { response, answer, partitions, .. } = &topics[0];
        let mut answers = Answers::default();
        for response in self.visible(response, partition, |_, message| wire::read_response(message)) {
            answers.add(None, response.expect("an answer is read"));
        }
        for address in 0..*partitions {
            let all = self.visible(answer, address, |_, message| {
                let key = message.key_text().expect("an answer has a key");
                (partition_of(key, *partitions), wire::read_answer(message, *partitions))
            });
            for (_, answer) in all.into_iter().filter(|(of, _)| *of == partition) {
                answers.add(Some(address), answer.expect("an answer is read"));
            }
        }
        answers
    }
}

#[derive(Default)]
struct Answers {
    commands: ByAddress<Vec<Answered>>,
    states: BTreeMap<(Option<u32>, CommandId), (u64, Option<u64>)>,
}

impl Answers {
    fn add(&mut self, place: Option<u32>, response: Response) {
        match response {
            Response::Outcome { id, outcome, first, .. } => {
                let answer = match &outcome.answer {
                    Answer::Accepted(sequence) | Answer::Unchanged(sequence) => Ok(sequence.get()),
                    refused => Err(without_reason(refusal(refused))),
                };
                self.commands.entry(place).or_default().push((id, answer, first));
            }
            Response::State { id, state } => {
                let sequence = state.as_ref().map_or(0, |state| state.sequence.get());
                let state = state.and_then(|state| state.state);
                let total = state.and_then(|state| json::decode::<Tally>(&state.bytes).ok()).map(|state| state.total);
                // The other answers decide whether one may come twice.
                self.states.insert((place, id), (sequence, total));
            }
        }
    }
}

fn without_reason(refusal: Option<Refusal<TallyError>>) -> Refusal<TallyError> {
    match refusal.expect("a refusal") {
        Refusal::Invalid(_) => Refusal::Invalid(String::new()),
        Refusal::HandlerFailed(_) => Refusal::HandlerFailed(String::new()),
        other => other,
    }
}
