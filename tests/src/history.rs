//! What clients sent and were answered, and whether the log that is read back afterwards bears it out.
//!
//! A [`History`] is written by one client, or several that take turns, while it sends; then [`History::check`] compares it
//! with the event log, and [`check_states`] the log with the states served. The commands are those of a domain that emits
//! one event for each accepted command.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use simple_sourcing::{AppliedTo, CommandError, CommandId, Event, Receipt, Recorded, Sequence};

/// The commands of a run, in the order in which they were sent, and the answers.
#[derive(Debug, Default)]
pub struct History {
    commands: HashMap<CommandId, Sent>,
    /// Counts what is written down, and so tells what was before what.
    now: u64,
    /// Answers that contradict each other.
    contradictions: Vec<Violation>,
}

#[derive(Debug)]
struct Sent {
    key: String,
    sent: u64,
    /// Sent more than once before it was answered: it took effect as any of them.
    again: bool,
    answer: Option<(u64, Answer)>,
}

/// What a client was told for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted; the sequence of its event.
    Accepted(Sequence),
    /// Refused, and why.
    Refused(String),
}

impl Answer {
    /// The answer in a client's result; none where the outcome is still unknown.
    pub fn of<E: fmt::Display>(result: &Result<Receipt, CommandError<E>>) -> Option<Self> {
        match result {
            Ok(receipt) => Some(Answer::Accepted(receipt.sequence)),
            // None of them says that the command took no effect at an earlier try.
            Err(CommandError::Timeout { .. } | CommandError::Backend(_) | CommandError::Expired(_)) => None,
            Err(error) if error.is_retryable() => None,
            Err(error) => Some(Answer::Refused(error.to_string())),
        }
    }
}

/// An event of the log, as far as the checker looks at it. They are given in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key of the aggregate.
    pub key: String,
    /// The place among the events of its aggregate.
    pub sequence: Sequence,
    /// The command that caused it.
    pub command_id: CommandId,
}

impl<E: Event<Key = String>> From<&Recorded<E>> for Entry {
    fn from(event: &Recorded<E>) -> Self {
        let meta = &event.meta;
        Entry { key: meta.key.clone(), sequence: meta.sequence, command_id: meta.command_id }
    }
}

/// A guarantee that does not hold, numbered as in the design, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `G1` to `G11`.
    pub guarantee: &'static str,
    /// The key of the aggregate.
    pub key: String,
    /// What is wrong, with the commands concerned.
    pub what: String,
}

impl Violation {
    fn new(guarantee: &'static str, key: &str, what: String) -> Self {
        Violation { guarantee, key: key.to_owned(), what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold for `{}`: {}", self.guarantee, self.key, self.what)
    }
}

impl History {
    /// Nothing was sent.
    #[must_use]
    pub fn new() -> Self {
        History::default()
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// A command is about to be sent: for the first time, or again under its id.
    pub fn sent(&mut self, key: &str, id: CommandId) {
        let sent = self.tick();
        let first = Sent { key: key.to_owned(), sent, again: false, answer: None };
        let command = self.commands.entry(id).or_insert(first);
        command.again |= command.sent != sent && command.answer.is_none();
    }

    /// A client has an answer. That to a command that has one already must be the same.
    ///
    /// # Panics
    /// When the command was not sent.
    pub fn answered(&mut self, id: CommandId, answer: Answer) {
        let now = self.tick();
        let command = self.commands.get_mut(&id).expect("only what was sent is answered");
        match &command.answer {
            None => command.answer = Some((now, answer)),
            Some((_, first)) if *first == answer => {}
            Some((_, first)) => {
                let what = format!("command {id} was answered with {first:?}, and later with {answer:?}");
                self.contradictions.push(Violation::new("G2", &command.key, what));
            }
        }
    }

    /// Whether the outcome of a command is known.
    #[must_use]
    pub fn is_answered(&self, id: CommandId) -> bool {
        self.commands.get(&id).is_some_and(|command| command.answer.is_some())
    }

    /// How many commands were accepted, were refused, and have an unknown outcome.
    #[must_use]
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for command in self.commands.values() {
            *match command.answer {
                Some((_, Answer::Accepted(_))) => &mut count.accepted,
                Some((_, Answer::Refused(_))) => &mut count.refused,
                None => &mut count.unknown,
            } += 1;
        }
        count
    }

    /// What of the history the log does not bear out. `log` is the whole event log, in its order for each key.
    #[must_use]
    pub fn check(&self, log: &[Entry]) -> Vec<Violation> {
        let mut violations = self.contradictions.clone();
        violations.extend(self.check_commands(log));
        let mut keys: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for event in log {
            keys.entry(&event.key).or_default().push(event);
        }
        for (key, events) in keys {
            violations.extend(check_sequences(key, &events));
            violations.extend(self.check_order(key, &events));
        }
        violations
    }

    /// G1, G2 and G5: an event for each accepted command, none for a refused one, never two.
    fn check_commands(&self, log: &[Entry]) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut seen = HashSet::new();
        for Entry { key, sequence, command_id: id } in log {
            if !seen.insert(*id) {
                violations.push(Violation::new("G2", key, format!("command {id} has a second event, {sequence}")));
                continue;
            }
            let complaint = match self.commands.get(id) {
                None => ("G5", format!("event {sequence} is of command {id}, which nobody sent")),
                Some(command) if command.key != *key => {
                    ("G5", format!("event {sequence} is of command {id}, which was sent to `{}`", command.key))
                }
                Some(Sent { answer: Some((_, Answer::Refused(reason))), .. }) => {
                    ("G5", format!("command {id} was refused ({reason}), and has event {sequence}"))
                }
                Some(Sent { answer: Some((_, Answer::Accepted(told))), .. }) if told != sequence => {
                    ("G5", format!("the receipt of command {id} says sequence {told}, its event has {sequence}"))
                }
                Some(_) => continue,
            };
            violations.push(Violation::new(complaint.0, key, complaint.1));
        }
        for (id, command) in &self.commands {
            if let (Some((_, Answer::Accepted(sequence))), false) = (&command.answer, seen.contains(id)) {
                let what = format!("command {id} was acknowledged at sequence {sequence}, and has no event");
                violations.push(Violation::new("G1", &command.key, what));
            }
        }
        violations
    }

    /// G4: what was answered before another command of the key was sent stands before it, and so does what was sent
    /// before it, answered or not, as long as both were sent only once.
    fn check_order(&self, key: &str, events: &[&Entry]) -> Vec<Violation> {
        let mut violations = Vec::new();
        let commands =
            || events.iter().filter_map(|event| Some((event.command_id, self.commands.get(&event.command_id)?)));

        let mut answered_first = (u64::MAX, None);
        for (id, command) in commands().rev() {
            if let (answered, Some(later)) = answered_first
                && answered < command.sent
            {
                let what = format!("command {id} was sent after {later} had been answered, and stands before it");
                violations.push(Violation::new("G4", key, what));
            }
            if let Some((answered, _)) = command.answer
                && answered < answered_first.0
            {
                answered_first = (answered, Some(id));
            }
        }

        let mut sent_last = (0, None);
        for (id, command) in commands().filter(|(_, command)| !command.again) {
            match sent_last {
                (sent, Some(earlier)) if sent > command.sent => {
                    let what = format!("command {id} was sent before {earlier}, and stands after it");
                    violations.push(Violation::new("G4", key, what));
                }
                _ => sent_last = (command.sent, Some(id)),
            }
        }
        violations
    }
}

/// What became of the commands of a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Accepted ones.
    pub accepted: usize,
    /// Refused ones.
    pub refused: usize,
    /// Those without an answer.
    pub unknown: usize,
}

/// G3: from 1, without a gap or a repetition.
fn check_sequences(key: &str, events: &[&Entry]) -> Option<Violation> {
    let wrong = (1..).zip(events).find(|(expected, event)| event.sequence != Sequence::new(*expected));
    wrong.map(|(expected, event)| {
        let (sequence, id) = (event.sequence, event.command_id);
        Violation::new("G3", key, format!("event {expected} has sequence {sequence}; it is of command {id}"))
    })
}

/// For each key that has events, the sequence of the last and what they make of the state.
pub type States<A> = BTreeMap<String, (Sequence, Option<A>)>;

/// Applies the events of a log.
///
/// # Errors
/// G6, where an event does not fit the state that those before it have made.
pub fn fold<A, E: Event<Key = String> + AppliedTo<A>>(log: Vec<Recorded<E>>) -> Result<States<A>, Violation> {
    let mut states = States::new();
    for Recorded { meta, event } in log {
        let (sequence, state) = states.entry(meta.key.clone()).or_insert((Sequence::ZERO, None));
        *sequence = meta.sequence;
        event.apply_to(state).map_err(|error| {
            Violation::new("G6", &meta.key, format!("event {} of command {}: {error}", meta.sequence, meta.command_id))
        })?;
    }
    Ok(states)
}

/// G6: the states that are served are those that the events make. `served` has no state where there is no aggregate.
#[must_use]
pub fn check_states<A: PartialEq + fmt::Debug>(
    folded: &States<A>,
    served: &BTreeMap<String, Option<(Sequence, A)>>,
) -> Vec<Violation> {
    let keys: HashSet<&String> = folded.keys().chain(served.keys()).collect();
    let wrong = keys.into_iter().filter_map(|key| {
        let made = folded.get(key).and_then(|(sequence, state)| Some((*sequence, state.as_ref()?)));
        let served = served.get(key).and_then(Option::as_ref).map(|(sequence, state)| (*sequence, state));
        let what = || format!("its events make {made:?}, and {served:?} is served");
        (made != served).then(|| Violation::new("G6", key, what()))
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        Entry { key: key.into(), sequence: Sequence::new(sequence), command_id }
    }

    /// Which guarantees do not hold; each message names the key.
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
        assert_eq!(history.check(&log), []);
        assert_eq!(history.count(), Count { accepted: 3, refused: 1, unknown: 0 });
    }

    #[test]
    fn a_lost_command_is_found() {
        let (history, [a, b, c], _, mut log) = good();
        log.pop();
        let violations = history.check(&log);
        assert_eq!(broken(&violations), ["G1"]);
        assert!(violations[0].what.contains(&c.to_string()), "{}", violations[0]);
        // Lost from the middle: the sequences show it too.
        assert_eq!(broken(&history.check(&[entry("alice", 1, a), entry("alice", 3, c)])), ["G1", "G3"]);
        // Lost, and the others moved up.
        assert_eq!(broken(&history.check(&[entry("alice", 1, b), entry("alice", 2, c)])), ["G1", "G5"]);
    }

    #[test]
    fn a_doubled_command_is_found() {
        let (history, [a, ..], _, mut log) = good();
        log.push(entry("alice", 4, a));
        let violations = history.check(&log);
        assert!(broken(&violations).contains(&"G2"));
        assert!(violations[0].what.contains(&a.to_string()), "{}", violations[0]);
    }

    #[test]
    fn an_unknown_command_has_one_event_or_none() {
        let (mut history, [a, b, c], ..) = good();
        let unknown = CommandId::new();
        history.sent("alice", unknown);
        assert_eq!(history.count().unknown, 1);
        assert_eq!(history.check(&log([a, b, c])), []);
        assert_eq!(history.check(&log([a, b, c, unknown])), []);
        assert_eq!(broken(&history.check(&log([a, b, c, unknown, unknown]))), ["G2"]);
    }

    #[test]
    fn a_gap_and_a_repetition_are_found() {
        let mut history = History::new();
        let ids @ [a, b] = [CommandId::new(), CommandId::new()];
        ids.iter().for_each(|id| history.sent("alice", *id));
        assert_eq!(broken(&history.check(&[entry("alice", 1, a), entry("alice", 3, b)])), ["G3"]);
        assert_eq!(broken(&history.check(&[entry("alice", 1, a), entry("alice", 1, b)])), ["G3"]);
        assert_eq!(broken(&history.check(&[entry("alice", 0, a), entry("alice", 1, b)])), ["G3"]);
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
        assert_eq!(broken(&sent().check(&swapped)), ["G4"]);

        // Sent again: it may take effect later than at its first try.
        let mut again = sent();
        again.sent("alice", a);
        assert_eq!(again.check(&swapped), []);

        // But not later than its answer.
        let c = CommandId::new();
        again.answered(a, Answer::Accepted(Sequence::new(3)));
        again.sent("alice", c);
        let late = [entry("alice", 1, b), entry("alice", 2, c), entry("alice", 3, a)];
        assert_eq!(broken(&again.check(&late)), ["G4"]);
    }

    #[test]
    fn an_event_of_a_refused_command_or_of_none_is_found() {
        let (history, [a, b, c], refused, _) = good();
        let violations = history.check(&log([a, b, c, refused]));
        assert_eq!(broken(&violations), ["G5"]);
        assert!(violations[0].what.contains(&refused.to_string()), "{}", violations[0]);
        assert_eq!(broken(&history.check(&log([a, b, c, CommandId::new()]))), ["G5"]);
        let elsewhere = [&log([a, b])[..], &[entry("bob", 1, c)]].concat();
        assert!(broken(&history.check(&elsewhere)).contains(&"G5"));
    }

    #[test]
    fn an_answer_that_changes_is_found() {
        let (mut history, [a, ..], _, log) = good();
        history.answered(a, Answer::Refused("no".into()));
        assert_eq!(broken(&history.check(&log)), ["G2"]);
    }

    #[test]
    fn a_state_that_the_events_do_not_make_is_found() {
        let folded = States::from([
            ("alice".to_owned(), (Sequence::new(2), Some(50))),
            // Deleted.
            ("bob".to_owned(), (Sequence::new(3), None)),
        ]);
        let served =
            |alice: Option<(Sequence, i32)>, bob| BTreeMap::from([("alice".into(), alice), ("bob".into(), bob)]);
        let alice = Some((Sequence::new(2), 50));
        assert_eq!(check_states(&folded, &served(alice, None)), []);
        for wrong in [Some((Sequence::new(2), 60)), Some((Sequence::new(1), 50)), None] {
            assert_eq!(broken(&check_states(&folded, &served(wrong, None))), ["G6"]);
        }
        assert_eq!(broken(&check_states(&folded, &served(alice, Some((Sequence::new(3), 0))))), ["G6"]);
        let mut more = served(alice, None);
        more.insert("carol".into(), Some((Sequence::new(1), 1)));
        assert_eq!(broken(&check_states(&folded, &more)), ["G6"]);
    }
}
