//! What the simulated clients send, and what they are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use bytes::Bytes;
use fastrand::Rng;
use simple_sourcing::{
    CommandId, Refusal, Sequence,
    codec::{Payload, json},
    engine::{AggregateIndex, Answer, Shard},
    port::{Reply, Submission, partition_of},
};

use super::{
    domain::{TallyCommand, TallyError},
    partitions::Written,
    world::World,
};
use crate::{
    record::{Headers, Record},
    wire::{self, Response},
};

/// How long a client waits for an answer before it sends a command again.
const PATIENCE: u64 = 1_500;

/// A record of the command topic.
#[derive(Clone)]
pub(super) enum Sent {
    /// With the address for its answer, like below.
    Command(Rc<Command>, Option<u32>),
    /// Not a command. It is answered if it has an id.
    Malformed,
    Question {
        key: usize,
        id: CommandId,
        answer_to: Option<u32>,
    },
}

pub(super) struct Command {
    pub(super) key: usize,
    pub(super) id: CommandId,
    pub(super) expected: Option<Sequence>,
    /// None if the payload is not a command of the domain.
    pub(super) command: Option<TallyCommand>,
    pub(super) payload: Bytes,
}

#[derive(Default)]
struct Client {
    /// How many commands it will still send.
    left: u32,
    /// Commands without an answer, and when each was sent.
    waiting: Vec<(Rc<Command>, u64)>,
}

#[derive(Default)]
pub(super) struct Clients {
    pub(super) keys: Vec<String>,
    /// Whether one of them will still send a command that kills the process.
    deadly: bool,
    /// Commands that a client has given up because it was told that the aggregate is quarantined.
    pub(super) given_up: BTreeSet<CommandId>,
    clients: Vec<Client>,
    /// By partition and offset.
    pub(super) log: BTreeMap<u32, Vec<Sent>>,
    all: Vec<Rc<Command>>,
    /// What they were told, by id: the first answer.
    pub(super) told: BTreeMap<CommandId, Answer>,
    read: BTreeMap<u32, usize>,
    sequences: BTreeMap<usize, Sequence>,
}

impl Clients {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let keys = (0..rng.usize(1..=5)).map(|key| format!("key-{key}")).collect();
        let clients = (0..rng.usize(1..=4)).map(|_| Client { left: rng.u32(4..20), waiting: Vec::new() }).collect();
        let deadly = rng.u32(0..10) == 0;
        Clients { keys, clients, deadly, ..Clients::default() }
    }

    pub(super) fn are_done(&self) -> bool {
        self.clients.iter().all(|client| client.left == 0 && client.waiting.is_empty())
    }

    pub(super) fn have_sent_all(&self) -> bool {
        self.clients.iter().all(|client| client.left == 0)
    }
}

/// The refusal in an answer, if it is one.
pub(super) fn refusal(answer: &Answer) -> Option<Refusal<TallyError>> {
    match answer {
        Answer::Accepted(_) | Answer::Unchanged(_) => None,
        Answer::Refused(refusal) => Some(json::decode(refusal).expect("a refusal is read")),
    }
}

impl World {
    pub(super) fn shard_of(&self, key: usize) -> Shard {
        Shard {
            aggregate: AggregateIndex::new(0),
            partition: partition_of(&self.clients.keys[key], self.topics[0].partitions),
        }
    }

    fn new_id(&mut self) -> CommandId {
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let id = uuid::Builder::from_unix_timestamp_millis(self.now, &random).into_uuid();
        CommandId::try_from(id).expect("it is of version 7")
    }

    /// One of the clients does something.
    pub(super) fn client_step(&mut self) {
        self.read_answers();
        let which = self.rng.usize(0..self.clients.clients.len());
        let told = std::mem::take(&mut self.clients.told);
        self.clients.clients[which].waiting.retain(|(command, _)| !told.contains_key(&command.id));
        self.clients.told = told;
        if self.rolls(12) && !self.clients.all.is_empty() {
            self.send_again_what_was_sent();
        } else if self.clients.clients[which].left > 0 && self.rng.bool() {
            self.clients.clients[which].left -= 1;
            if self.rng.u32(0..20) == 0 {
                self.send_malformed();
                return;
            }
            let command = self.new_command();
            self.send(&command);
            let now = self.now;
            self.clients.clients[which].waiting.push((command, now));
        } else {
            let now = self.now;
            let waiting = &mut self.clients.clients[which].waiting;
            if let Some((command, sent)) = waiting.iter_mut().find(|(_, sent)| sent + PATIENCE < now) {
                *sent = now;
                let command = command.clone();
                self.count("command sent again");
                self.send(&command);
            }
        }
    }

    fn new_command(&mut self) -> Rc<Command> {
        let key = self.rng.usize(0..self.clients.keys.len());
        let n = self.rng.u64(1..100);
        let command = match self.rng.u32(0..100) {
            0..20 => Some(TallyCommand::Begin),
            20..60 => Some(TallyCommand::Add { n }),
            60..78 => Some(TallyCommand::AddTwice { n }),
            78..85 => Some(TallyCommand::Refuse),
            85..88 if std::mem::take(&mut self.clients.deadly) => Some(TallyCommand::Die),
            85..88 => Some(TallyCommand::Fail),
            88..97 => Some(TallyCommand::End),
            _ => None,
        };
        let expected = match self.rng.u32(0..8) {
            0 => self.clients.sequences.get(&key).copied(),
            1 => Some(Sequence::new(self.rng.u64(0..10))),
            _ => None,
        };
        self.make(key, command, expected)
    }

    fn make(&mut self, key: usize, command: Option<TallyCommand>, expected: Option<Sequence>) -> Rc<Command> {
        let payload = match &command {
            Some(command) => json::encode(command).expect("a command is written"),
            None => Bytes::from_static(br#"{"Unheard":1}"#),
        };
        let command = Rc::new(Command { key, id: self.new_id(), expected, command, payload });
        self.clients.all.push(command.clone());
        command
    }

    /// A command after which the aggregate exists.
    pub(super) fn last_command(&mut self, key: usize, begin: bool) {
        let command = if begin { TallyCommand::Begin } else { TallyCommand::Add { n: 1 } };
        let command = self.make(key, Some(command), None);
        self.send(&command);
        let now = self.now;
        self.clients.clients[0].waiting.push((command, now));
    }

    /// Sends an earlier command again, or another one under its id.
    fn send_again_what_was_sent(&mut self) {
        let old = self.clients.all[self.rng.usize(0..self.clients.all.len())].clone();
        if self.rng.u32(0..4) == 0 {
            self.count("id used again");
            let command = TallyCommand::Add { n: 1_000 };
            let payload = json::encode(&command).expect("a command is written");
            let other = Command { key: old.key, id: old.id, expected: None, command: Some(command), payload };
            self.send(&Rc::new(other));
        } else {
            self.send(&old);
        }
    }

    fn send(&mut self, command: &Rc<Command>) {
        if self.rolls(15) {
            self.count("command lost");
            return;
        }
        let Command { key, id, expected, ref payload, .. } = **command;
        let submission = Submission {
            aggregate: AggregateIndex::new(0),
            key: self.clients.keys[key].as_str().into(),
            id,
            name: "Command",
            expected,
            trace: None,
            payload: Payload::json(payload.clone()),
            reply: Reply { queued: None, outcome: tokio::sync::oneshot::channel().0 },
        };
        let headers = wire::command_headers("simulation", "tally", &submission);
        let (headers, answer_to) = self.addressed(headers);
        self.append_command(key, Some(payload), headers, Sent::Command(command.clone(), answer_to));
    }

    fn send_malformed(&mut self) {
        self.count("malformed record");
        let key = self.rng.usize(0..self.clients.keys.len());
        self.append_command(key, Some(b"?"), Headers::default(), Sent::Malformed);
    }

    /// Asks for the state of an aggregate.
    pub(super) fn question(&mut self, key: usize) {
        let id = self.new_id();
        let headers = wire::state_query_headers("simulation", "tally", &self.clients.keys[key], id);
        let (headers, answer_to) = self.addressed(headers);
        self.append_command(key, Some(b"null"), headers, Sent::Question { key, id, answer_to });
    }

    /// Adds an address for the answer to some headers.
    fn addressed(&mut self, headers: Headers) -> (Headers, Option<u32>) {
        if self.rng.bool() {
            return (headers, None);
        }
        self.count("sent with an address");
        let partition = self.rng.u32(0..self.topics[0].partitions);
        (wire::answered_to(headers, partition), Some(partition))
    }

    fn append_command(&mut self, key: usize, value: Option<&[u8]>, headers: Headers, sent: Sent) {
        let (shard, time) = (self.shard_of(key), self.now);
        let key = Some(self.clients.keys[key].as_bytes().to_vec());
        let record = Written { key, value: value.map(<[u8]>::to_vec), headers, time };
        let topics = self.topics.clone();
        self.partition(&topics[0].command, shard.partition).append(&topics[0].command, shard.partition, &record);
        let log = self.clients.log.entry(shard.partition).or_default();
        log.push(sent);
        let offset = log.len() - 1;
        self.note(format_args!("client: command {}:{offset}", shard.partition));
    }

    /// Reads the answers that have become visible.
    pub(super) fn read_answers(&mut self) {
        let topics = self.topics.clone();
        for partition in 0..topics[0].partitions {
            let mut next = self.clients.read.get(&partition).copied().unwrap_or(0);
            while let Some((offset, message)) = self.partition(&topics[0].response, partition).committed_from(next) {
                next = offset + 1;
                let response = wire::read_response(message).expect("an answer is read");
                let key = message.key_text().unwrap_or_default().to_owned();
                if let Response::Outcome { id, outcome, first, .. } = response {
                    self.told(id, &key, outcome.answer, first);
                }
            }
            self.clients.read.insert(partition, next);
        }
    }

    fn told(&mut self, id: CommandId, key: &str, answer: Answer, first: bool) {
        if matches!(refusal(&answer), Some(Refusal::Quarantined)) {
            self.count("quarantined");
            // The process that dies may leave an unreadable state, and the next process answers that the aggregate is
            // quarantined before it has refolded it. If the command were sent again and again, it would kill one
            // process after the other.
            let is_deadly = |command: &Command| command.id == id && matches!(command.command, Some(TallyCommand::Die));
            for client in &mut self.clients.clients {
                let waiting = client.waiting.len();
                client.waiting.retain(|(command, _)| !is_deadly(command));
                if client.waiting.len() < waiting {
                    self.clients.given_up.insert(id);
                }
            }
            return;
        }
        if matches!(refusal(&answer), Some(Refusal::HandlerFailed(why)) if why.contains("`deaths_max`")) {
            self.count("condemned");
        }
        if !first {
            self.count("answered again");
            return;
        }
        if let (Answer::Accepted(sequence), Some(key)) = (&answer, self.clients.keys.iter().position(|own| own == key))
        {
            self.clients.sequences.insert(key, *sequence);
        }
        assert!(self.clients.told.insert(id, answer).is_none(), "{id} has two first answers");
    }
}
