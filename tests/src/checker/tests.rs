//! Hand-made histories: a good one, and bad ones for each guarantee. The checker must name the guarantee.

use simple_sourcing::{CommandId, Position, Sequence};

use super::{responses::QUARANTINED, *};
use crate::bank::domain::{Account, AccountEvent};

/// Three commands to one key, each answered before the next is sent, and a refused one.
fn good() -> (History, [CommandId; 3], CommandId, Vec<Entry>) {
    let mut history = History::new();
    let ids = [1, 2, 3].map(|sequence| {
        let id = CommandId::new();
        history.sent("alice", id);
        history.answered(id, Answer::Accepted(Sequence::new(sequence)));
        id
    });
    let refused = CommandId::new();
    history.sent("alice", refused);
    history.answered(refused, Answer::Refused("no".into()));
    (history, ids, refused, log(ids))
}

fn log(ids: impl IntoIterator<Item = CommandId>) -> Vec<Entry> {
    (1..).zip(ids).map(|(sequence, id)| entry("alice", sequence, id)).collect()
}

fn entry(key: &str, sequence: u64, command_id: CommandId) -> Entry {
    let command_position = Position { partition: 0, offset: sequence };
    Entry { key: key.into(), sequence: Sequence::new(sequence), command_id, command_position }
}

/// Which guarantees are violated; each message names the key.
fn broken(violations: &[Violation]) -> Vec<&'static str> {
    assert!(violations.iter().all(|violation| violation.to_string().contains(&violation.key)));
    let mut broken: Vec<_> = violations.iter().map(|violation| violation.guarantee).collect();
    broken.sort_unstable();
    broken.dedup();
    broken
}

#[test]
fn a_good_history_has_no_violations() {
    let (mut history, [a, ..], _, log) = good();
    // The same answer again, as to a command that is sent again.
    history.sent("alice", a);
    history.answered(a, Answer::Accepted(Sequence::new(1)));
    assert_eq!(check_log(&history, &log), []);
    assert_eq!(history.count(), Count { accepted: 3, refused: 1, unknown: 0 });
}

#[test]
fn a_lost_command_is_found() {
    let (history, [a, b, c], _, mut log) = good();
    log.pop();
    let violations = check_log(&history, &log);
    assert_eq!(broken(&violations), ["G1"]);
    assert!(violations[0].what.contains(&c.to_string()), "{}", violations[0]);
    // Lost from the middle: the sequences show it too.
    assert_eq!(broken(&check_log(&history, &[entry("alice", 1, a), entry("alice", 3, c)])), ["G1", "G3"]);
    // Lost, with the others moved up.
    assert_eq!(broken(&check_log(&history, &[entry("alice", 1, b), entry("alice", 2, c)])), ["G1", "G5"]);
}

#[test]
fn a_doubled_command_is_found() {
    let (history, [a, ..], _, mut log) = good();
    log.push(entry("alice", 4, a));
    let violations = check_log(&history, &log);
    assert!(broken(&violations).contains(&"G2"));
    assert!(violations[0].what.contains(&a.to_string()), "{}", violations[0]);
}

#[test]
fn an_unknown_command_has_one_event_or_none() {
    let (mut history, [a, b, c], ..) = good();
    let unknown = CommandId::new();
    history.sent("alice", unknown);
    assert_eq!(history.count().unknown, 1);
    assert_eq!(check_log(&history, &log([a, b, c])), []);
    assert_eq!(check_log(&history, &log([a, b, c, unknown])), []);
    assert_eq!(broken(&check_log(&history, &log([a, b, c, unknown, unknown]))), ["G2"]);
}

#[test]
fn a_gap_and_a_repetition_are_found() {
    let mut history = History::new();
    let ids @ [a, b] = [CommandId::new(), CommandId::new()];
    ids.iter().for_each(|id| history.sent("alice", *id));
    assert_eq!(broken(&check_log(&history, &[entry("alice", 1, a), entry("alice", 3, b)])), ["G3"]);
    assert_eq!(broken(&check_log(&history, &[entry("alice", 1, a), entry("alice", 1, b)])), ["G3"]);
    assert_eq!(broken(&check_log(&history, &[entry("alice", 0, a), entry("alice", 1, b)])), ["G3"]);
}

#[test]
fn the_order_of_sending_is_the_order_of_the_log() {
    // Both sent before either was answered, each once.
    let [a, b] = [CommandId::new(), CommandId::new()];
    let sent = || {
        let mut history = History::new();
        history.sent("alice", a);
        history.sent("alice", b);
        history
    };
    let swapped = [entry("alice", 1, b), entry("alice", 2, a)];
    assert_eq!(broken(&check_log(&sent(), &swapped)), ["G4"]);

    // Sent again: it may take effect later than on its first attempt.
    let mut again = sent();
    again.sent("alice", a);
    assert_eq!(check_log(&again, &swapped), []);

    // But not later than its answer.
    let c = CommandId::new();
    again.answered(a, Answer::Accepted(Sequence::new(3)));
    again.sent("alice", c);
    let late = [entry("alice", 1, b), entry("alice", 2, c), entry("alice", 3, a)];
    assert_eq!(broken(&check_log(&again, &late)), ["G4"]);
}

#[test]
fn an_event_of_a_refused_command_or_of_none_is_found() {
    let (history, [a, b, c], refused, _) = good();
    let violations = check_log(&history, &log([a, b, c, refused]));
    assert_eq!(broken(&violations), ["G5"]);
    assert!(violations[0].what.contains(&refused.to_string()), "{}", violations[0]);
    assert_eq!(broken(&check_log(&history, &log([a, b, c, CommandId::new()]))), ["G5"]);
    let elsewhere = [&log([a, b])[..], &[entry("bob", 1, c)]].concat();
    assert!(broken(&check_log(&history, &elsewhere)).contains(&"G5"));
}

#[test]
fn an_answer_that_changes_is_found() {
    let (mut history, [a, ..], _, log) = good();
    history.answered(a, Answer::Refused("no".into()));
    assert_eq!(broken(&check_log(&history, &log)), ["G2"]);
}

#[test]
fn a_state_that_the_events_do_not_make_is_found() {
    let folded = States::from([
        ("alice".to_owned(), (Sequence::new(2), Some(50))),
        // Deleted.
        ("bob".to_owned(), (Sequence::new(3), None)),
    ]);
    let served = |alice: Option<(Sequence, i32)>, bob| BTreeMap::from([("alice".into(), alice), ("bob".into(), bob)]);
    let alice = Some((Sequence::new(2), 50));
    assert_eq!(check_states("is served", &folded, &served(alice, None)), []);
    for wrong in [Some((Sequence::new(2), 60)), Some((Sequence::new(1), 50)), None] {
        assert_eq!(broken(&check_states("is served", &folded, &served(wrong, None))), ["G6"]);
    }
    assert_eq!(broken(&check_states("is served", &folded, &served(alice, Some((Sequence::new(3), 0))))), ["G6"]);
    let mut more = served(alice, None);
    more.insert("carol".into(), Some((Sequence::new(1), 1)));
    assert_eq!(broken(&check_states("is served", &folded, &more)), ["G6"]);
}

#[test]
fn a_command_has_one_set_of_events() {
    let mut history = History::new();
    let [a, b] = [CommandId::new(), CommandId::new()];
    history.sent("alice", a);
    history.sent("alice", b);
    let at = |offset, entry| Entry { command_position: Position { partition: 0, offset }, ..entry };
    let set = [at(1, entry("alice", 1, a)), at(1, entry("alice", 2, a)), at(2, entry("alice", 3, b))];
    assert_eq!(check_log(&history, &set), [], "one command may have several events");
    let again = [at(1, entry("alice", 1, a)), at(2, entry("alice", 2, a))];
    assert_eq!(broken(&check_log(&history, &again)), ["G2"]);
    let torn = [at(1, entry("alice", 1, a)), at(1, entry("alice", 2, b)), at(1, entry("alice", 3, a))];
    assert!(broken(&check_log(&history, &torn)).contains(&"G2"));
}

#[test]
fn an_expectation_that_was_not_honoured_is_found() {
    let mut history = History::new();
    let [a, b] = [CommandId::new(), CommandId::new()];
    history.sent("alice", a);
    history.sent_expecting("alice", b, Some(Sequence::new(1)));
    assert_eq!(check_log(&history, &log([a, b])), []);
    let mut history = History::new();
    history.sent("alice", a);
    history.sent_expecting("alice", b, Some(Sequence::ZERO));
    let violations = check_log(&history, &log([a, b]));
    assert_eq!(broken(&violations), ["G7"]);
    assert!(violations[0].what.contains(&b.to_string()), "{}", violations[0]);
}

#[test]
fn an_event_behind_those_of_a_successor_is_found() {
    let mut history = History::new();
    let [a, b] = [CommandId::new(), CommandId::new()];
    history.sent("alice", a);
    history.sent("bob", b);
    let mut log = vec![entry("bob", 1, b), entry("alice", 1, a)];
    (log[0].command_position.offset, log[1].command_position.offset) = (8, 7);
    let violations = check_log(&history, &log);
    assert_eq!(broken(&violations), ["G8"]);
    assert!(violations[0].what.contains(&a.to_string()), "{}", violations[0]);
}

/// What Kafka holds when alice's account was opened, 50 were deposited, 20 withdrawn, and 500 refused.
struct Kafka {
    history: History,
    topics: Topics,
    served: Served<Account>,
    ids: [CommandId; 4],
}

impl Kafka {
    fn good() -> Self {
        let (mut history, mut topics, ids) = (History::new(), Topics::default(), [(); 4].map(|()| CommandId::new()));
        let events =
            [r#"{"Opened":{"owner":"A"}}"#, r#"{"Deposited":{"amount":50}}"#, r#"{"Withdrawn":{"amount":20}}"#];
        let balances = [0, 50, 30];
        for (offset, id) in (0..).zip(ids) {
            let (key, n, command_position) = ("alice".to_owned(), offset as usize, Position { partition: 0, offset });
            let sequence = (n < 3).then(|| Sequence::new(offset + 1));
            history.sent("alice", id);
            history.answered(id, sequence.map_or(Answer::Refused("no".into()), Answer::Accepted));
            topics.commands.push(CommandIn { position: command_position, id: Some(id), answer_to: None });
            if let Some(sequence) = sequence {
                let value = events[n].into();
                topics.events.push(EventIn { key: key.clone(), sequence, command_id: id, command_position, value });
                let value = Some(format!(r#"{{"owner":"A","balance":{}}}"#, balances[n]).into_bytes());
                topics.states.push(StateIn { key: key.clone(), sequence, value });
            }
            topics.responses.push(ResponseIn {
                key,
                command_id: id,
                command_position: Some(command_position),
                hash: Some(offset.to_string()),
                first: true,
                sequence,
                value: sequence.map_or("no".into(), |sequence| sequence.to_string().into()),
            });
        }
        topics.consumed = [2, 4].map(|next| Consumed { partition: 0, next, by_a_worker: true }).to_vec();
        let account = Account { owner: "A".into(), balance: 30 };
        let served = Served::from([("alice".to_owned(), Some((Sequence::new(3), account)))]);
        Kafka { history, topics, served, ids }
    }

    /// A second record of a command, and its response.
    fn with_repetition(mut self, of: usize) -> Self {
        let position = Position { partition: 0, offset: 4 };
        self.topics.commands.push(CommandIn { position, id: Some(self.ids[of]), answer_to: None });
        self.topics.responses.push(ResponseIn { first: false, ..self.topics.responses[of].clone() });
        self.topics.consumed.push(Consumed { partition: 0, next: 5, by_a_worker: true });
        self
    }

    /// The same, with an answer at an address too.
    fn with_address(mut self, of: usize) -> Self {
        self.topics.commands[of].answer_to = Some(7);
        self.topics.answers.push(AnswerIn { address: 7, response: self.topics.responses[of].clone() });
        self
    }

    /// A repetition is only answered at an address.
    fn with_addressed_repetition(self, of: usize) -> Self {
        let mut kafka = self.with_repetition(of);
        let response = kafka.topics.responses.pop().expect("that of the repetition");
        kafka.topics.commands[4].answer_to = Some(7);
        kafka.topics.answers.push(AnswerIn { address: 7, response });
        kafka
    }

    fn check(&self) -> Vec<Violation> {
        check_topics::<Account, AccountEvent>(&self.history, &self.topics, &self.served)
    }

    fn broken(&self) -> Vec<&'static str> {
        broken(&self.check())
    }
}

#[test]
fn good_topics_have_no_violations() {
    assert_eq!(Kafka::good().check(), []);
    assert_eq!(Kafka::good().with_repetition(1).check(), []);
    assert_eq!(Kafka::good().with_repetition(3).check(), []);
    assert_eq!(Kafka::good().with_address(1).with_address(3).check(), []);
    assert_eq!(Kafka::good().with_address(1).with_addressed_repetition(1).check(), []);
    assert_eq!(Kafka::good().with_addressed_repetition(3).check(), []);
}

#[test]
fn g1_a_consumed_command_without_an_answer() {
    let mut kafka = Kafka::good();
    // Nobody waits for it any more, so only the topics tell.
    kafka.history = History::new();
    kafka.ids[..3].iter().for_each(|id| kafka.history.sent("alice", *id));
    kafka.topics.responses.pop();
    assert_eq!(kafka.broken(), ["G1"]);
    kafka.topics.dead_letters.push(Position { partition: 0, offset: 3 });
    assert_eq!(kafka.check(), [], "it was put aside");
}

#[test]
fn g1_an_acknowledged_command_that_was_aborted() {
    let mut kafka = Kafka::good();
    kafka.topics.events.pop();
    kafka.topics.states.pop();
    kafka.topics.responses.remove(2);
    assert!(kafka.broken().contains(&"G1"));
}

#[test]
fn g2_a_second_first_outcome() {
    let mut kafka = Kafka::good().with_repetition(1);
    kafka.topics.responses[4].first = true;
    assert_eq!(kafka.broken(), ["G2"]);
}

#[test]
fn g2_another_answer_the_second_time() {
    let mut kafka = Kafka::good().with_repetition(3);
    kafka.topics.responses[4].value = b"yes".to_vec();
    assert_eq!(kafka.broken(), ["G2"]);
    // Another command under the same id is told so.
    kafka.topics.responses[4].hash = Some("other".into());
    assert_eq!(kafka.check(), []);
}

#[test]
fn g2_quarantined_is_no_outcome_and_comes_before_it() {
    let quarantined = |response: &mut ResponseIn| {
        (response.first, response.sequence, response.value) = (false, None, QUARANTINED.to_vec());
    };
    let mut kafka = Kafka::good().with_repetition(2);
    quarantined(&mut kafka.topics.responses[4]);
    assert_eq!(kafka.broken(), ["G2"]);
    kafka.topics.responses.swap(2, 4);
    assert_eq!(kafka.check(), []);
}

#[test]
fn an_aggregate_that_is_left_out_is_not_looked_at() {
    let mut kafka = Kafka::good();
    kafka.topics.events.clear();
    kafka.history.leave_out("alice", &mut kafka.topics);
    kafka.served.clear();
    assert_eq!(kafka.check(), []);
}

#[test]
fn g2_a_command_answered_more_often_than_sent() {
    let mut kafka = Kafka::good();
    kafka.topics.responses.push(ResponseIn { first: false, ..kafka.topics.responses[0].clone() });
    assert_eq!(kafka.broken(), ["G2"]);
}

#[test]
fn g2_a_record_put_aside_twice() {
    let mut kafka = Kafka::good();
    kafka.topics.dead_letters.extend([Position { partition: 0, offset: 0 }; 2]);
    assert_eq!(kafka.broken(), ["G2"]);
}

#[test]
fn g5_a_response_without_its_events() {
    let mut kafka = Kafka::good();
    kafka.history = History::new();
    kafka.ids.iter().for_each(|id| kafka.history.sent("alice", *id));
    kafka.topics.events.pop();
    assert!(kafka.broken().contains(&"G5"));
}

#[test]
fn g5_events_without_their_response() {
    let mut kafka = Kafka::good();
    kafka.topics.responses.remove(1);
    assert!(kafka.broken().contains(&"G5"));
    let mut kafka = Kafka::good();
    kafka.topics.responses[1].first = false;
    assert_eq!(kafka.broken(), ["G5"]);
}

#[test]
fn g5_a_response_that_says_something_else() {
    let mut kafka = Kafka::good();
    kafka.topics.responses[2].sequence = Some(Sequence::new(2));
    assert_eq!(kafka.broken(), ["G5"]);
}

#[test]
fn g5_outputs_of_a_command_that_is_not_consumed() {
    let mut kafka = Kafka::good();
    kafka.topics.consumed.pop();
    assert_eq!(kafka.broken(), ["G5"]);
}

#[test]
fn g5_an_answer_that_says_something_else_than_the_response() {
    type Change = fn(&mut ResponseIn);
    let changes: [Change; 4] = [
        |answer| answer.value = b"yes".to_vec(),
        |answer| answer.sequence = Some(Sequence::new(7)),
        |answer| answer.key = "bob".into(),
        |answer| answer.command_position = Some(Position { partition: 0, offset: 7 }),
    ];
    for of in [1, 3] {
        for change in changes {
            let mut kafka = Kafka::good().with_address(of);
            change(&mut kafka.topics.answers[0].response);
            assert_eq!(kafka.broken(), ["G5"]);
            let mut kafka = Kafka::good().with_addressed_repetition(of);
            change(&mut kafka.topics.answers[0].response);
            assert_eq!(kafka.broken(), ["G5"], "the second time");
        }
    }
}

#[test]
fn g5_an_answer_without_the_response() {
    let mut kafka = Kafka::good().with_address(3);
    kafka.topics.responses.pop();
    assert!(kafka.broken().contains(&"G5"), "that of a command that was refused");
    let mut kafka = Kafka::good().with_address(1);
    kafka.topics.responses[1].first = false;
    assert_eq!(kafka.broken(), ["G5"]);
}

#[test]
fn g5_quarantined_after_the_outcome() {
    let mut kafka = Kafka::good().with_addressed_repetition(2);
    let quarantined = |answer: &mut ResponseIn, offset| {
        (answer.first, answer.sequence, answer.value) = (false, None, QUARANTINED.to_vec());
        answer.command_position = Some(Position { partition: 0, offset });
    };
    quarantined(&mut kafka.topics.answers[0].response, 4);
    assert_eq!(kafka.broken(), ["G5"]);
    quarantined(&mut kafka.topics.answers[0].response, 1);
    assert_eq!(kafka.check(), []);
}

#[test]
fn g1_an_address_at_which_nothing_has_come() {
    let mut kafka = Kafka::good().with_address(1);
    kafka.topics.answers[0].address = 6;
    assert_eq!(kafka.broken(), ["G1"]);
    kafka.topics.answers.clear();
    assert_eq!(kafka.broken(), ["G1"]);
}

#[test]
fn g2_a_first_outcome_at_two_addresses() {
    let mut kafka = Kafka::good().with_address(1);
    kafka.topics.answers.push(AnswerIn { address: 6, ..kafka.topics.answers[0].clone() });
    assert_eq!(kafka.broken(), ["G2"]);
}

#[test]
fn g6_events_states_and_what_is_served_differ() {
    let mut kafka = Kafka::good();
    kafka.topics.states.pop();
    assert_eq!(kafka.broken(), ["G6"], "a state that was not written");
    let mut kafka = Kafka::good();
    kafka.topics.states[2].value = None;
    assert_eq!(kafka.broken(), ["G6"], "deleted without an event");
    let mut kafka = Kafka::good();
    kafka.served.insert("alice".into(), None);
    assert_eq!(kafka.broken(), ["G6"], "not served");
    for value in [r#"{"Deposited":{"amount":60}}"#, r#"{"Opened":{"owner":"A"}}"#, "garbage"] {
        let mut kafka = Kafka::good();
        kafka.topics.events[1].value = value.into();
        assert!(kafka.broken().contains(&"G6"), "{value}");
    }
}

#[test]
fn g8_an_offset_that_goes_back() {
    let mut kafka = Kafka::good();
    kafka.topics.consumed.insert(1, Consumed { partition: 0, next: 1, by_a_worker: true });
    assert_eq!(kafka.broken(), ["G8"]);
}

#[test]
fn an_offset_that_was_sent_twice_in_its_transaction_breaks_nothing() {
    let mut kafka = Kafka::good();
    kafka.topics.consumed.push(*kafka.topics.consumed.last().unwrap());
    assert!(kafka.broken().is_empty());
}
