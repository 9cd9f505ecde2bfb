use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use simple_sourcing::{CommandError, CommandId, Receipt, Sequence};

use super::{Topics, Violation};

/// The commands of a run, in the order in which they were sent, and their answers: recorded while sending, by one
/// client, or by several that take turns.
#[derive(Debug, Default)]
pub struct History {
    commands: HashMap<CommandId, Sent>,
    /// Counts the records, and so tells their order.
    now: u64,
    /// Answers that contradict each other.
    contradictions: Vec<Violation>,
}

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) key: String,
    /// The expected sequence.
    pub(super) expected: Option<Sequence>,
    pub(super) sent: u64,
    /// Sent more than once before it was answered: it took effect on any of the attempts.
    pub(super) again: bool,
    pub(super) answer: Option<(u64, Answer)>,
}

/// What a client was told for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted; the sequence of its last event.
    Accepted(Sequence),
    /// Refused, and why.
    Refused(String),
}

impl Answer {
    /// The answer in a client's result; none where the outcome is still unknown.
    pub fn of<E: fmt::Display>(result: &Result<Receipt, CommandError<E>>) -> Option<Self> {
        match result {
            Ok(receipt) => Some(Answer::Accepted(receipt.sequence)),
            // None of them means that the command took no effect on an earlier attempt.
            Err(CommandError::Timeout { .. } | CommandError::Backend(_) | CommandError::Expired(_)) => None,
            Err(error) if error.is_retryable() => None,
            Err(error) => Some(Answer::Refused(error.to_string())),
        }
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
        self.sent_expecting(key, id, None);
    }

    /// A command with an expected sequence is about to be sent.
    pub fn sent_expecting(&mut self, key: &str, id: CommandId, expected: Option<Sequence>) {
        let sent = self.tick();
        let first = Sent { key: key.to_owned(), expected, sent, again: false, answer: None };
        let command = self.commands.entry(id).or_insert(first);
        command.again |= command.sent != sent && command.answer.is_none();
    }

    /// A client has an answer. If the command already has one, it must be the same.
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

    /// Adds what another client has seen of other keys.
    ///
    /// # Panics
    /// When both have sent the same command.
    pub fn and(&mut self, other: History) {
        for (id, sent) in other.commands {
            assert!(self.commands.insert(id, sent).is_none(), "{id} is in both histories");
        }
        self.contradictions.extend(other.contradictions);
    }

    /// Leaves out a key whose records were damaged for good, here and in what Kafka holds.
    pub fn leave_out(&mut self, key: &str, topics: &mut Topics) {
        let of_key = self.commands.extract_if(|_, sent| sent.key == key);
        topics.leave_out(key, &of_key.map(|(id, _)| id).collect());
    }

    /// The keys of all commands, each once.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<String> {
        self.commands.values().map(|sent| sent.key.clone()).collect()
    }

    pub(super) fn contradictions(&self) -> &[Violation] {
        &self.contradictions
    }

    pub(super) fn commands(&self) -> impl Iterator<Item = (CommandId, &Sent)> {
        self.commands.iter().map(|(id, sent)| (*id, sent))
    }

    pub(super) fn command(&self, id: CommandId) -> Option<&Sent> {
        self.commands.get(&id)
    }
}

/// The outcomes of the commands of a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Accepted ones.
    pub accepted: usize,
    /// Refused ones.
    pub refused: usize,
    /// Those without an answer.
    pub unknown: usize,
}
