//! Everything outside of the workers, and what may happen to it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Arguments,
    path::Path,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
};

use fastrand::Rng;
use simple_sourcing::engine::Definition;

use super::{
    clients::Clients,
    group::{Consumer, Group},
    partitions::{BrokerError, Partition},
    schedule::{Task, point, sleep},
    transactions::Transactions,
};
use crate::{access::Role, topics::Topics, worker::store::local::LocalStore};

/// 2023-11-14, in milliseconds since 1970.
const BEGINNING: u64 = 1_700_000_000_000;

/// The size of a store's read cache.
const CACHE_BYTES: u64 = 1024 * 1024;

pub(super) type Shared = Rc<RefCell<World>>;

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: u64,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    pub(super) definition: Arc<Definition>,
    pub(super) topics: Arc<[Topics]>,
    partitions: BTreeMap<String, Vec<Partition>>,
    pub(super) transactions: Transactions,
    pub(super) group: Group,
    pub(super) processes: Vec<Process>,
    pub(super) clients: Clients,
    /// The partitions whose committed offset was lost or moved.
    pub(super) moved: BTreeSet<u32>,
    /// The keys whose state was damaged.
    pub(super) damaged: BTreeSet<usize>,
    /// Requests that arrive after everybody has stopped waiting for them.
    pub(super) late: Vec<Late>,
    /// Tasks that begin.
    pub(super) begun: Vec<Task>,
    /// When the running task wants to wake up.
    pub(super) asleep_until: Option<u64>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// The last steps.
    pub(super) steps: VecDeque<String>,
    pub(super) steps_shown: usize,
    /// Of all steps.
    pub(super) hash: u64,
}

pub(super) struct Late {
    pub(super) what: String,
    pub(super) arrive: Box<dyn Fn(&mut World)>,
}

pub(super) struct Process {
    pub(super) incarnation: u64,
    pub(super) running: bool,
    pub(super) paused_until: u64,
    pub(super) restarts_at: u64,
    pub(super) stopped: Arc<AtomicBool>,
    /// Whether it has the same name after a restart.
    pub(super) named: bool,
    pub(super) consumer: Consumer,
    /// Its disk, if it has one. What is on it outlives the process.
    pub(super) store: Option<Arc<LocalStore>>,
}

impl World {
    pub(super) fn new(seed: u64, definition: Arc<Definition>, steps_shown: usize, disks: Option<&Path>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let count = rng.u32(1..=3);
        let aggregate = definition.aggregates[0].name;
        let name = |topic: &str| format!("{aggregate}-{topic}");
        let topics = Topics {
            role: Role::Service,
            command: name("command"),
            event: name("event"),
            state: name("state"),
            response: name("response"),
            answer: name("answer"),
            dead_letter: name("dead_letter"),
            owner: name("owner"),
            batch_bytes_max: 1_000_000,
            dead_letter_bytes_max: 1_000_000,
            partitions: count,
            reset_advice: String::new(),
        };
        let Topics { command, event, state, response, answer, dead_letter, .. } = &topics;
        let all = [command, event, state, response, answer, dead_letter];
        let partitions = || (0..count).map(|_| Partition::default()).collect();
        let partitions = all.into_iter().map(|topic| (topic.clone(), partitions())).collect();
        let processes = (0..rng.usize(1..=3)).map(|number| Process {
            incarnation: 0,
            running: false,
            paused_until: 0,
            restarts_at: 0,
            stopped: Arc::default(),
            named: rng.bool(),
            consumer: Consumer::new(),
            store: disks.map(|disks| LocalStore::open(&disks.join(number.to_string()), CACHE_BYTES).expect("a store")),
        });
        let processes = processes.collect();
        let clients = Clients::new(&mut rng);
        World {
            rng,
            now: BEGINNING,
            calm: false,
            definition,
            topics: vec![topics].into(),
            partitions,
            transactions: Transactions::default(),
            group: Group::new(count),
            processes,
            clients,
            moved: BTreeSet::new(),
            damaged: BTreeSet::new(),
            late: Vec::new(),
            begun: Vec::new(),
            asleep_until: None,
            counts: BTreeMap::new(),
            steps: VecDeque::new(),
            steps_shown,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub(super) fn partition(&mut self, topic: &str, partition: u32) -> &mut Partition {
        &mut self.partitions.get_mut(topic).expect("a topic")[partition as usize]
    }

    /// True once in this many times, while things go wrong.
    pub(super) fn rolls(&mut self, once_in: u32) -> bool {
        !self.calm && self.rng.u32(0..once_in) == 0
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
        self.note(format_args!("({what})"));
    }

    /// Records a step.
    pub(super) fn note(&mut self, what: Arguments<'_>) {
        let step = format!("{} {what}", self.now - BEGINNING);
        // FNV-1a.
        for byte in step.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.steps.len() == self.steps_shown {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }

    pub(super) fn is_running(&self, process: usize) -> bool {
        let process = &self.processes[process];
        process.running && process.paused_until <= self.now
    }
}

/// A point in a process at which it may also be slow.
pub(super) async fn pass(world: &Shared) {
    point().await;
    let slow = {
        let mut world = world.borrow_mut();
        let slow = world.rolls(150);
        if slow {
            world.count("slow");
        }
        slow.then(|| world.rng.u64(1..3_000))
    };
    if let Some(millis) = slow {
        sleep(world, millis).await;
    }
}

/// Sends a request, with everything that may happen to it on its way. Calls `twice` if the client library has sent it
/// again, which only its log tells.
pub(super) async fn request<T: 'static>(
    world: &Shared,
    process: usize,
    what: String,
    effect: impl Fn(&mut World) -> Result<T, BrokerError> + 'static,
    mut twice: impl FnMut(),
) -> Result<T, BrokerError> {
    pass(world).await;
    let fate = {
        let mut world = world.borrow_mut();
        if world.rolls(40) { world.rng.u32(1..6) } else { 0 }
    };
    let arrive = |world: &mut World, how: &str| {
        let result = effect(world);
        let refused = result.as_ref().err().copied();
        world.note(format_args!("{process}: {what}{how}{}", refused.map_or_else(String::new, |r| format!(": {r:?}"))));
        result
    };
    let count = |what| world.borrow_mut().count(what);
    let result = match fate {
        1 => {
            count("request lost");
            Err(BrokerError::NoAnswer)
        }
        2 => {
            count("reply lost");
            let _ = arrive(&mut world.borrow_mut(), ", reply lost");
            Err(BrokerError::NoAnswer)
        }
        3 => {
            count("reply lost, sent again");
            twice();
            let _ = arrive(&mut world.borrow_mut(), ", reply lost");
            pass(world).await;
            arrive(&mut world.borrow_mut(), ", sent again")
        }
        4 | 5 => {
            let answered = fate == 5;
            let result = if answered {
                count("held back, sent again");
                twice();
                arrive(&mut world.borrow_mut(), ", sent again")
            } else {
                count("held back");
                Err(BrokerError::NoAnswer)
            };
            let arrive = Box::new(move |world: &mut World| {
                let result = effect(world).err();
                world.note(format_args!("late: {result:?}"));
            });
            world.borrow_mut().late.push(Late { what: format!("{process}: {what}"), arrive });
            result
        }
        _ => arrive(&mut world.borrow_mut(), ""),
    };
    pass(world).await;
    result
}
