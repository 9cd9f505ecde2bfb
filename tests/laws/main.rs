//! The laws of the engine, for any commands in any batches:
//!
//! - a state is the fold of its events, and its sequence is their number;
//! - sequences have no gap and no repetition;
//! - a command id takes effect once, and each answer to it is the first;
//! - a command on which the user's code fails becomes a dead letter, once;
//! - a value that is not read back as it was written fails its command;
//! - batches, aborts, lost caches, restarts and states that can't be decoded can't be told from deciding one command after
//!   the other.

mod domain;
mod exact;
mod seen;
mod store;

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};
use simple_sourcing::{
    AppliedTo, CommandId, Refusal, Sequence, Timestamp, codec,
    engine::{AggregateIndex, Answer, CommandRecord, Processor},
};

use domain::{Counter, CounterCommand, CounterEvent};
use store::MemoryStore;

/// How commands are cut into batches: the size of a batch, and what happens to it.
#[derive(Debug, Clone, Copy)]
struct Cut {
    commands: usize,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Committed,
    /// Decided and aborted, then decided again.
    Aborted,
    /// Aborted in the middle, as if the partition was revoked, then decided again.
    Interrupted,
    /// Committed; then another instance takes over, with empty caches.
    Restarted,
    /// The same, and none of the states can be decoded any more.
    Damaged,
}

fn a_command(bytes_max: usize) -> impl Strategy<Value = CounterCommand> {
    prop_oneof![
        3 => Just(CounterCommand::Create),
        6 => (1..5_u64).prop_map(CounterCommand::Add),
        2 => (1..6_usize).prop_map(|events| CounterCommand::Burst { events }),
        3 => (1..20_u64).prop_map(CounterCommand::Subtract),
        2 => Just(CounterCommand::Delete),
        1 => Just(CounterCommand::Recreate),
        1 => Just(CounterCommand::Ensure),
        1 => Just(CounterCommand::Panic),
        1 => Just(CounterCommand::Poison),
        1 => Just(CounterCommand::Misfit),
        1 => Just(CounterCommand::Rest),
        1 => Just(CounterCommand::Average),
        1 => Just(CounterCommand::NeverDue),
        1 => (0..=bytes_max).prop_map(|bytes| CounterCommand::Grow { bytes }),
    ]
}

/// Any commands.
fn a_log() -> impl Strategy<Value = Vec<CommandRecord>> {
    let any = prop_oneof![20 => a_command(2 * domain::STATE_BYTES_MAX), 1 => Just(CounterCommand::Warp)];
    a_log_of(any)
}

/// Commands whose states can all be stored. A state is checked when it is written, once per batch: one that is too long
/// or is not read back, but is replaced by the next command, only does no harm if both are in one batch.
fn a_log_with_storable_states() -> impl Strategy<Value = Vec<CommandRecord>> {
    a_log_of(a_command(domain::STATE_BYTES_MAX / 2))
}

/// Commands for a few keys, some under the id of an earlier one, in the order of one partition's log.
fn a_log_of(commands: impl Strategy<Value = CounterCommand>) -> impl Strategy<Value = Vec<CommandRecord>> {
    let entry = (0..3_usize, 0..40_u64, commands, proptest::option::weighted(0.3, 0..12_u64));
    vec(entry, 1..60).prop_map(|entries| {
        let mut ids: HashMap<u64, (usize, CounterCommand)> = HashMap::new();
        let log = entries.into_iter().zip(0..).map(|((key, id, command, expected), offset)| {
            // Most repetitions of an id are of the same command, as they should be.
            let (key, command) = match ids.get(&id) {
                Some(first) if offset % 4 != 0 => first.clone(),
                _ => (key, command),
            };
            ids.entry(id).or_insert((key, command.clone()));
            store::command(offset, ["a", "b", "c"][key], id, expected.map(Sequence::new), &command)
        });
        log.collect()
    })
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let fate = prop_oneof![
        4 => Just(Fate::Committed),
        2 => Just(Fate::Aborted),
        1 => Just(Fate::Interrupted),
        1 => Just(Fate::Restarted),
    ];
    vec((1..12_usize, fate).prop_map(|(commands, fate)| Cut { commands, fate }), 1..30)
}

/// Decides the log in batches of these cuts, over and over.
fn run(log: &[CommandRecord], cuts: &[Cut]) -> MemoryStore {
    let definition = domain::definition();
    let (mut processor, mut store) = (Processor::new(definition.clone()), MemoryStore::default());
    let (mut rest, mut cuts) = (log, cuts.iter().cycle());
    while !rest.is_empty() {
        let Cut { commands, fate } = *cuts.next().expect("there are cuts without end");
        let (batch, behind) = rest.split_at(commands.min(rest.len()));
        if fate == Fate::Aborted || fate == Fate::Interrupted {
            process(
                &mut processor,
                &store,
                &batch[..if fate == Fate::Aborted { batch.len() } else { batch.len() / 2 }],
            );
            if fate == Fate::Aborted {
                processor.finish(&store).expect("the store can be read");
            }
            processor.aborted();
        }
        process(&mut processor, &store, batch);
        let changes = processor.finish(&store).expect("the store can be read");
        store.commit(&changes);
        processor.committed(changes);
        if fate == Fate::Damaged {
            store.damage_states();
        }
        if matches!(fate, Fate::Restarted | Fate::Damaged) {
            processor = Processor::new(definition.clone());
        }
        rest = behind;
    }
    store
}

fn process(processor: &mut Processor, store: &MemoryStore, commands: &[CommandRecord]) {
    for command in commands {
        processor.process(store, AggregateIndex::new(0), command.clone()).expect("the store can be read");
    }
}

const ONE_BY_ONE: &[Cut] = &[Cut { commands: 1, fate: Fate::Committed }];

fn refusal(answer: &Answer) -> Option<Refusal<domain::CounterError>> {
    match answer {
        Answer::Accepted(_) | Answer::Unchanged(_) => None,
        Answer::Refused(refusal) => Some(codec::json::decode(refusal).expect("a refusal decodes")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_can_not_be_told_from_one_command_after_the_other(log in a_log_with_storable_states(), cuts in cuts()) {
        prop_assert_eq!(run(&log, &cuts), run(&log, ONE_BY_ONE));
    }

    #[test]
    fn aborts_and_restarts_can_not_be_told_from_batches_that_succeed(log in a_log(), cuts in cuts()) {
        let committed: Vec<_> = cuts.iter().map(|cut| Cut { fate: Fate::Committed, ..*cut }).collect();
        prop_assert_eq!(run(&log, &cuts), run(&log, &committed));
    }

    #[test]
    fn states_that_can_not_be_decoded_are_made_again_from_their_events(log in a_log(), cuts in cuts()) {
        let damaged = |cut: &Cut| if cut.fate == Fate::Restarted { Cut { fate: Fate::Damaged, ..*cut } } else { *cut };
        let damaged = run(&log, &cuts.iter().map(damaged).collect::<Vec<_>>());
        let intact = run(&log, &cuts);
        prop_assert_eq!((damaged.events, damaged.answers), (intact.events, intact.answers));
    }

    #[test]
    fn no_state_is_over_the_limit(log in a_log(), cuts in cuts()) {
        for state in run(&log, &cuts).states.values().filter_map(|stored| stored.state.as_ref()) {
            prop_assert!(state.len() <= domain::STATE_BYTES_MAX);
        }
    }

    #[test]
    fn a_state_is_the_fold_of_its_events(log in a_log(), cuts in cuts()) {
        let store = run(&log, &cuts);
        for (key, stored) in &store.states {
            let mut folded: Option<Counter> = None;
            for event in store.events.iter().filter(|event| event.key == *key) {
                let event: CounterEvent = codec::json::decode(&event.payload.bytes).expect("an event decodes");
                event.apply_to(&mut folded).expect("what was accepted can be applied");
            }
            let state = stored.state.as_ref().map(|state| codec::json::decode::<Counter>(&state.bytes).expect("a state decodes"));
            prop_assert_eq!(state, folded);
        }
        let changed = store.events.iter().filter(|event| !store.states.contains_key(&event.key)).count();
        prop_assert_eq!(changed, 0, "what has events has a state, or the sequence of a deleted one");
    }

    #[test]
    fn sequences_have_no_gap_and_no_repetition(log in a_log(), cuts in cuts()) {
        let store = run(&log, &cuts);
        for (key, stored) in &store.states {
            let sequences = store.events.iter().filter(|event| event.key == *key).map(|event| event.sequence.get());
            let sequences: Vec<u64> = sequences.collect();
            prop_assert_eq!(&sequences, &(1..=stored.sequence.get()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_id_takes_effect_once_and_has_one_answer(log in a_log(), cuts in cuts()) {
        let store = run(&log, &cuts);
        prop_assert_eq!(store.answers.len(), log.len(), "each command is answered, and once");
        let mut firsts: HashMap<CommandId, (&CommandRecord, &Answer)> = HashMap::new();
        for (command, record) in log.iter().zip(&store.answers) {
            prop_assert_eq!((record.id, record.position), (command.id, command.position));
            let answer = &record.outcome.answer;
            let effects = store.events.iter().filter(|event| event.command_position == command.position).count();
            match firsts.get(&command.id) {
                None => {
                    prop_assert!(record.first);
                    prop_assert_eq!(effects > 0, matches!(answer, Answer::Accepted(_)));
                    firsts.insert(command.id, (command, answer));
                }
                Some((first, first_answer)) => {
                    prop_assert!(!record.first);
                    prop_assert_eq!(effects, 0, "a repetition has no events");
                    if (&first.key, &first.payload) == (&command.key, &command.payload) {
                        prop_assert_eq!(answer, *first_answer);
                    } else {
                        prop_assert_eq!(refusal(answer), Some(Refusal::IdReused));
                    }
                }
            }
        }
    }

    #[test]
    fn what_the_handler_fails_on_is_put_aside_once(log in a_log(), cuts in cuts()) {
        let store = run(&log, &cuts);
        let failed = store.answers.iter().filter(|record| record.first).filter_map(|record| {
            let Some(Refusal::HandlerFailed(reason)) = refusal(&record.outcome.answer) else { return None };
            Some((record.position, reason))
        });
        prop_assert_eq!(&store.poison, &failed.collect::<Vec<_>>());
    }

    #[test]
    fn an_expected_sequence_is_the_one_at_which_the_events_are_written(log in a_log(), cuts in cuts()) {
        let store = run(&log, &cuts);
        for (command, record) in log.iter().zip(&store.answers).filter(|(_, record)| record.first) {
            let Some(expected) = command.expected else { continue };
            let before = store.events.iter().filter(|event| {
                event.key == command.key && event.command_position.offset < command.position.offset
            });
            let actual = Sequence::new(before.count() as u64);
            let conflict = refusal(&record.outcome.answer) == Some(Refusal::Conflict { expected, actual });
            prop_assert_eq!(conflict, expected != actual);
        }
    }
}

/// Decides these commands in one batch: the answers, and what is committed.
fn decide(commands: &[(&str, CounterCommand)]) -> (Vec<Answer>, MemoryStore) {
    let (mut processor, mut store) = (Processor::new(domain::definition()), MemoryStore::default());
    let commands = commands.iter().zip(0..);
    let log: Vec<_> = commands.map(|((key, command), n)| store::command(n, key, n, None, command)).collect();
    process(&mut processor, &store, &log);
    let changes = processor.finish(&store).expect("the store can be read");
    store.commit(&changes);
    (store.answers.iter().map(|record| record.outcome.answer.clone()).collect(), store)
}

fn accepted(sequence: u64) -> Answer {
    Answer::Accepted(Sequence::new(sequence))
}

/// The reason why the handler failed.
fn failure(answer: &Answer) -> String {
    match refusal(answer) {
        Some(Refusal::HandlerFailed(reason)) => reason,
        other => panic!("the handler failed, but the answer is {other:?}"),
    }
}

#[test]
fn what_is_not_read_back_as_it_was_written_fails_its_command() {
    use CounterCommand::{Add, Average, Create, NeverDue, Warp};
    let cases = [
        (Average, "event `Averaged` can't be read back: `Averaged`: invalid type: null, expected f64"),
        (NeverDue, "event `Due` is read back as another value: `Some(` was written, `None` is read"),
        (Warp, "the new state can't be read back: `warp`: invalid type: null, expected f64"),
    ];
    for (bad, reason) in cases {
        let (answers, store) = decide(&[("a", Create), ("b", Create), ("a", bad), ("a", Add(1)), ("b", Add(1))]);
        assert!(failure(&answers[2]).starts_with(reason), "{answers:?}");
        assert_eq!((&answers[3], &answers[4]), (&accepted(2), &accepted(2)));
        assert_eq!(store.events.len(), 4, "nothing of it is written");
    }
}

#[test]
fn a_state_that_can_not_be_restored_costs_the_command_that_broke_it() {
    use CounterCommand::{Add, Create, Poison, Waver};
    // Its event is applied when it is decided, but not when the state is restored from the events of the batch.
    let (answers, store) =
        decide(&[("a", Create), ("b", Create), ("a", Waver), ("a", Poison), ("b", Add(1)), ("a", Add(1))]);
    assert_eq!(answers[2], accepted(2));
    assert!(failure(&answers[3]).contains("meant to be"));
    assert_eq!((&answers[4], &answers[5]), (&accepted(2), &accepted(3)));
    assert_eq!(store.poison.len(), 1);
}

#[test]
fn a_state_that_is_written_in_two_ways_costs_the_commands_of_its_aggregate() {
    use CounterCommand::{Add, Blur, Create};
    let (answers, store) = decide(&[("a", Create), ("b", Create), ("a", Blur), ("b", Add(1))]);
    assert!(
        failure(&answers[0]).contains("at `blur`: `1` was written, `2` is read")
            && failure(&answers[2]).contains("read back"),
        "{answers:?}"
    );
    assert_eq!((&answers[1], &answers[3]), (&accepted(1), &accepted(2)), "another aggregate of the batch");
    assert_eq!(store.states.keys().map(|key| &**key).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_command_that_has_nothing_to_do_is_answered_with_the_present_sequence() {
    use CounterCommand::{Add, Create, Rest};
    let (answers, store) = decide(&[("a", Create), ("a", Add(1)), ("b", Rest), ("a", Rest)]);
    assert_eq!(refusal(&answers[2]), Some(Refusal::NotFound));
    assert_eq!(answers[3], Answer::Unchanged(Sequence::new(2)));
    assert_eq!(store.answers[3].outcome.position, store.answers[1].position, "that of the command that made it");
    assert_eq!(store.events.len(), 2);
}

#[test]
fn a_condemned_command_is_not_run() {
    let (mut processor, store) = (Processor::new(domain::definition()), MemoryStore::default());
    let create = store::command(0, "a", 0, None, &CounterCommand::Create);
    let repeated = store::command(1, "a", 0, None, &CounterCommand::Create);
    let other = store::command(2, "a", 2, None, &CounterCommand::Create);
    processor
        .condemn(&store, AggregateIndex::new(0), create, "it ended the process".to_owned())
        .expect("the store can be read");
    process(&mut processor, &store, &[repeated, other]);
    let changes = processor.finish(&store).expect("the store can be read");
    let answers: Vec<_> = changes.outcomes.iter().map(|record| record.outcome.answer.clone()).collect();
    assert_eq!(failure(&answers[0]), "it ended the process");
    assert_eq!(
        (&answers[1], &answers[2]),
        (&answers[0], &accepted(1)),
        "remembered under its id, and nothing has changed"
    );
    assert_eq!(changes.poison.len(), 1);
}

#[test]
fn the_time_of_an_id_decides_whether_it_is_too_old() {
    let definition = domain::definition();
    let (mut processor, store) = (Processor::new(definition), MemoryStore::default());
    let mut old = store::command(0, "a", 0, None, &CounterCommand::Create);
    old.time = Timestamp::from_millis(old.id.time().as_millis() + domain::WINDOW.as_millis() as u64);
    let mut older = store::command(1, "b", 1, None, &CounterCommand::Create);
    older.time = Timestamp::from_millis(older.id.time().as_millis() + domain::WINDOW.as_millis() as u64 + 1);

    process(&mut processor, &store, &[old, older]);

    let outcomes = processor.finish(&store).expect("the store can be read").outcomes;
    assert_eq!(outcomes[0].outcome.answer, Answer::Accepted(Sequence::new(1)));
    assert!(matches!(refusal(&outcomes[1].outcome.answer), Some(Refusal::Expired(_))));
    assert!(!outcomes[1].first, "it did not run, so there is nothing to remember");
}
