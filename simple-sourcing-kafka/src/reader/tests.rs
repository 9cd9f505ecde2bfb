//! The tail on a simulated log: nobody may miss an event or get one twice, whatever comes in between.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    env,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use simple_sourcing::{
    BackendError, CommandId, Position, Sequence, Timestamp,
    codec::Payload,
    engine::{EventRecord, Logged},
    port::Feed,
};

use super::tail::{Source, Subscriber, Tail};

const TOPIC: &str = "account-event";

/// How many events wait between the backend and a reader.
const FEED_EVENTS_MAX: u64 = 1_024;

/// A log whose offsets have gaps, and a consumer of it.
#[derive(Default)]
struct Log {
    partitions: BTreeMap<u32, BTreeSet<u64>>,
    /// Where the consumer is in what it reads.
    reading: RefCell<BTreeMap<u32, u64>>,
    fails: bool,
}

impl Source for Log {
    fn add(&self, partitions: &[(String, u32, i64)]) -> Result<(), BackendError> {
        for (topic, partition, next) in partitions {
            assert_eq!(topic, TOPIC);
            let before = self.reading.borrow_mut().insert(*partition, *next as u64);
            assert_eq!(before, None, "partition {partition} is read already");
        }
        if self.fails { Err(BackendError::failed("it may not be read")) } else { Ok(()) }
    }

    fn remove(&self, partitions: &[(String, u32, i64)]) -> Result<(), BackendError> {
        for (_, partition, _) in partitions {
            let before = self.reading.borrow_mut().remove(partition);
            assert!(before.is_some(), "partition {partition} is not read");
        }
        Ok(())
    }
}

impl Log {
    /// Appends events behind a gap.
    fn append(&mut self, partition: u32, events: u64, gap: u64) {
        let offsets = self.partitions.entry(partition).or_default();
        let end = offsets.last().map_or(0, |last| last + 1) + gap;
        offsets.extend(end..end + events);
    }

    /// The next record of a partition that is read.
    fn poll(&self, partition: u32) -> Option<u64> {
        let mut reading = self.reading.borrow_mut();
        let next = reading.get_mut(&partition)?;
        let offset = self.from(partition, *next).next()?;
        *next = offset + 1;
        Some(offset)
    }

    fn from(&self, partition: u32, next: u64) -> impl Iterator<Item = u64> {
        self.partitions.get(&partition).into_iter().flat_map(move |offsets| offsets.range(next..).copied())
    }

    /// Reads a partition to its end.
    fn read(&self, tail: &mut Tail, partition: u32) {
        while let Some(offset) = self.poll(partition) {
            let event = || Ok(event(partition, offset));
            tail.dispatch(self, (TOPIC, partition, offset), event).expect("nothing fails");
        }
    }
}

fn event(partition: u32, offset: u64) -> Logged {
    // An id takes longer than all the rest.
    static EVENT: LazyLock<EventRecord> = LazyLock::new(|| EventRecord {
        key: "alice".into(),
        sequence: Sequence::new(1),
        command_position: Position { partition: 0, offset: 0 },
        command_id: CommandId::new(),
        time: Timestamp::from_millis(0),
        name: "Opened".into(),
        trace: None,
        payload: Payload::json("{}"),
    });
    let record = EventRecord { command_position: Position { partition, offset }, ..EVENT.clone() };
    Logged { offset, record }
}

/// The reader of a stream, and what it has seen.
struct Reader {
    feed: Feed,
    seen: BTreeMap<u32, Vec<u64>>,
    errors: usize,
}

/// A stream that begins at these offsets.
fn stream(next: impl IntoIterator<Item = (u32, u64)>) -> (Subscriber, Reader) {
    let (sender, feed) = Feed::new();
    let subscriber = Subscriber { topic: TOPIC.into(), next: next.into_iter().collect(), sender };
    (subscriber, Reader { feed, seen: BTreeMap::new(), errors: 0 })
}

impl Reader {
    /// Takes what waits, but no more than so many.
    fn take(&mut self, max: u64) {
        for _ in 0..max {
            match self.poll() {
                Poll::Ready(Some(Ok(Logged { offset, record }))) => {
                    self.seen.entry(record.command_position.partition).or_default().push(offset);
                }
                Poll::Ready(Some(Err(_))) => self.errors += 1,
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    fn poll(&mut self) -> Poll<Option<Result<Logged, BackendError>>> {
        let next = std::pin::pin!(self.feed.next());
        next.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn all(&mut self, partition: u32) -> Vec<u64> {
        self.take(u64::MAX);
        self.seen.get(&partition).cloned().unwrap_or_default()
    }
}

fn attach(tail: &mut Tail, log: &Log, subscriber: Subscriber) {
    assert!(tail.attach(log, subscriber).expect("nothing fails").is_none(), "it is refused");
}

#[test]
fn whoever_comes_gets_what_is_due_to_it_wherever_it_is() {
    let (mut log, mut tail) = (Log::default(), Tail::new(Duration::ZERO));
    log.append(0, 10, 0);
    let (first, mut at_the_end) = stream([(0, 10)]);
    attach(&mut tail, &log, first);
    log.append(0, 5, 1);
    log.read(&mut tail, 0);

    let (equal, mut equal_reader) = stream([(0, 16)]);
    let (behind, mut behind_reader) = stream([(0, 12)]);
    let (ahead, mut ahead_reader) = stream([(0, 18)]);
    attach(&mut tail, &log, equal);
    attach(&mut tail, &log, behind);
    attach(&mut tail, &log, ahead);
    log.append(0, 4, 0);
    log.read(&mut tail, 0);

    assert_eq!(at_the_end.all(0), [11, 12, 13, 14, 15, 16, 17, 18, 19]);
    assert_eq!(equal_reader.all(0), [16, 17, 18, 19]);
    assert_eq!(behind_reader.all(0), [12, 13, 14, 15, 16, 17, 18, 19]);
    assert_eq!(ahead_reader.all(0), [18, 19]);
}

#[test]
fn whoever_is_far_behind_in_one_partition_is_taken_in_none() {
    let (mut log, mut tail) = (Log::default(), Tail::new(Duration::ZERO));
    log.append(0, 2_000, 0);
    log.append(1, 10, 0);
    let (first, _reader) = stream([(0, 2_000)]);
    attach(&mut tail, &log, first);
    let (far, mut reader) = stream([(0, 999), (1, 3)]);
    let refused = tail.attach(&log, far).expect("nothing fails").expect("it is too far behind");
    assert_eq!(refused.next, BTreeMap::from([(0, 999), (1, 3)]), "it goes on there");
    assert_eq!(*log.reading.borrow(), BTreeMap::from([(0, 2_000)]));
    log.read(&mut tail, 0);
    assert_eq!(reader.all(0), [0; 0]);

    // It has read on by itself.
    attach(&mut tail, &log, Subscriber { next: BTreeMap::from([(0, 1_000), (1, 3)]), ..refused });
    log.read(&mut tail, 0);
    log.read(&mut tail, 1);
    assert_eq!(reader.all(0), (1_000..2_000).collect::<Vec<_>>());
    assert_eq!(reader.all(1), [3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn whoever_is_slow_is_let_go_where_it_is_and_holds_up_nobody() {
    let (mut log, mut tail) = (Log::default(), Tail::new(Duration::ZERO));
    let (slow, mut slow_reader) = stream([(0, 0), (1, 0)]);
    let (quick, mut quick_reader) = stream([(0, 0)]);
    attach(&mut tail, &log, slow);
    attach(&mut tail, &log, quick);
    for _ in 0..3 {
        log.append(0, 1_000, 1);
        log.read(&mut tail, 0);
        quick_reader.take(u64::MAX);
    }
    assert_eq!(quick_reader.all(0).len(), 3_000);
    let [slow] = &tail.take_detached()[..] else { panic!("one is slow") };
    assert_eq!(*log.reading.borrow().keys().collect::<Vec<_>>(), [&0], "nobody reads the other partition");
    let due = log.partitions[&0].iter().nth(FEED_EVENTS_MAX as usize);
    assert_eq!(slow.next, BTreeMap::from([(0, *due.expect("there are more")), (1, 0)]));
    assert_eq!(slow_reader.all(0), log.from(0, 0).take(FEED_EVENTS_MAX as usize).collect::<Vec<_>>());
}

#[test]
fn whoever_is_quick_but_was_not_scheduled_stays() {
    let (mut log, mut tail) = (Log::default(), Tail::new(Duration::from_secs(60)));
    let (subscriber, mut reader) = stream([(0, 0)]);
    attach(&mut tail, &log, subscriber);
    log.append(0, FEED_EVENTS_MAX + 1, 0);
    let reads = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        reader.take(FEED_EVENTS_MAX / 2);
        reader
    });
    log.read(&mut tail, 0);
    assert!(tail.take_detached().is_empty());
    let mut reader = reads.join().expect("it has read");
    assert_eq!(reader.all(0).len() as u64, FEED_EVENTS_MAX + 1);
}

#[test]
fn a_partition_is_read_as_long_as_anybody_follows_it() {
    let (mut log, mut tail) = (Log::default(), Tail::new(Duration::ZERO));
    let (one, reader) = stream([(0, 0), (1, 0)]);
    let (other, mut other_reader) = stream([(1, 0), (2, 0)]);
    attach(&mut tail, &log, one);
    attach(&mut tail, &log, other);
    drop(reader);
    tail.sweep(&log).expect("nothing fails");
    assert_eq!(log.reading.borrow().keys().collect::<Vec<_>>(), [&1, &2]);
    log.append(1, 1, 0);
    log.read(&mut tail, 1);
    assert_eq!(other_reader.all(1), [0]);
    drop(other_reader);
    log.append(2, 1, 0);
    log.read(&mut tail, 2);
    assert!(tail.is_empty() && log.reading.borrow().is_empty(), "it has found out when it had something for it");
    assert!(tail.take_detached().is_empty());
}

#[test]
fn what_is_no_event_is_an_error_to_all_to_whom_it_is_due() {
    let (mut log, mut tail) = (Log::default(), Tail::new(Duration::ZERO));
    log.append(0, 3, 0);
    let (due, mut due_reader) = stream([(0, 0)]);
    let (past, mut past_reader) = stream([(0, 2)]);
    attach(&mut tail, &log, past);
    attach(&mut tail, &log, due);
    while let Some(offset) = log.poll(0) {
        let read = || if offset == 1 { Err(BackendError::failed("it is none")) } else { Ok(event(0, offset)) };
        tail.dispatch(&log, (TOPIC, 0, offset), read).expect("nothing fails");
    }
    assert_eq!((due_reader.all(0), due_reader.errors), (vec![0, 2], 1));
    assert_eq!((past_reader.all(0), past_reader.errors), (vec![2], 0));
}

#[test]
fn after_an_error_of_the_consumer_everybody_can_go_on_alone() {
    let (mut log, mut tail) = (Log::default(), Tail::new(Duration::ZERO));
    let (one, _reader) = stream([(0, 7)]);
    attach(&mut tail, &log, one);
    log.fails = true;
    let (other, _other_reader) = stream([(1, 0)]);
    assert!(tail.attach(&log, other).is_err());
    let all: Vec<_> = tail.detach_all().into_iter().map(|subscriber| subscriber.next).collect();
    assert_eq!(all, [BTreeMap::from([(0, 7)])], "the other still has what it came with");
    assert!(tail.is_empty());
}

/// A stream in the random test.
struct Following {
    from: BTreeMap<u32, u64>,
    reader: Reader,
    /// While it goes on alone.
    alone: Option<Subscriber>,
    slow: bool,
}

impl Following {
    /// What its own thread does: reads to the end as far as there is room, and asks to be taken.
    fn go_on(&mut self, tail: &mut Tail, log: &Log, asks: bool) {
        let Some(mut subscriber) = self.alone.take() else { return };
        for (&partition, next) in &mut subscriber.next {
            for offset in log.from(partition, *next) {
                if subscriber.sender.try_send(Ok(event(partition, offset))).is_err() {
                    break;
                }
                *next = offset + 1;
            }
        }
        self.alone = match asks {
            true => tail.attach(log, subscriber).expect("nothing fails"),
            false => Some(subscriber),
        };
    }
}

const PARTITIONS: u32 = 3;

/// Runs a random course of events, and checks what each stream has seen.
fn course(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut log, mut tail) = (Log::default(), Tail::new(Duration::ZERO));
    let mut streams: Vec<Following> = Vec::new();
    let mut own_partition = PARTITIONS;
    for _ in 0..400 {
        match rng.u32(0..100) {
            0..20 => log.append(rng.u32(0..PARTITIONS), rng.u64(1..400), rng.u64(0..20)),
            20..60 => {
                let partition = rng.u32(0..PARTITIONS);
                for _ in 0..rng.u32(0..600) {
                    let Some(offset) = log.poll(partition) else { break };
                    let event = || Ok(event(partition, offset));
                    tail.dispatch(&log, (TOPIC, partition, offset), event).expect("nothing fails");
                }
            }
            60..65 if streams.len() < 12 => {
                let wanted = (0..PARTITIONS).filter(|_| rng.bool()).collect::<Vec<_>>();
                let end = |partition| log.partitions.get(partition).and_then(|it| it.last()).map_or(0, |last| last + 1);
                let mut from: BTreeMap<_, _> =
                    wanted.iter().map(|partition| (*partition, rng.u64(0..=end(partition)))).collect();
                from.insert(own_partition, 0);
                own_partition += 1;
                let (subscriber, reader) = stream(from.clone());
                streams.push(Following { from, reader, alone: Some(subscriber), slow: rng.u32(0..4) == 0 });
            }
            65..67 if !streams.is_empty() => {
                // Its reader is gone. What it has seen was right so far.
                let gone = streams.swap_remove(rng.usize(0..streams.len()));
                check(&log, gone, false, seed);
            }
            67..70 => tail.sweep(&log).expect("nothing fails"),
            70..72 => all_alone(tail.detach_all(), &mut streams, &log),
            _ => {
                for it in &mut streams {
                    let max = if it.slow { rng.u64(0..100) } else { u64::MAX };
                    it.reader.take(max);
                    if rng.bool() {
                        it.go_on(&mut tail, &log, rng.bool());
                    }
                }
            }
        }
        let detached = tail.take_detached();
        assign(detached, &mut streams);
    }
    // In the end everybody comes to the end.
    for _ in 0..100 {
        for it in &mut streams {
            it.reader.take(u64::MAX);
            it.go_on(&mut tail, &log, true);
        }
        (0..PARTITIONS).for_each(|partition| log.read(&mut tail, partition));
        assign(tail.take_detached(), &mut streams);
    }
    let attached = streams.iter().filter(|it| it.alone.is_none()).count();
    assert_eq!(attached, streams.len(), "seed {seed}: not all share the reader in the end");
    streams.into_iter().for_each(|it| check(&log, it, true, seed));
    tail.sweep(&log).expect("nothing fails");
    assert!(tail.is_empty() && log.reading.borrow().is_empty(), "seed {seed}: somebody is left");
}

/// The consumer has failed.
fn all_alone(all: Vec<Subscriber>, streams: &mut [Following], log: &Log) {
    log.reading.borrow_mut().clear();
    assign(all, streams);
}

/// Gives back to each stream what was detached. It is known by the empty partition that it has for itself.
fn assign(detached: Vec<Subscriber>, streams: &mut [Following]) {
    for subscriber in detached {
        let own = subscriber.next.keys().next_back().copied();
        // If there is none, its reader is gone, and nobody has noticed so far.
        if let Some(own) = streams.iter_mut().find(|it| it.from.keys().next_back().copied() == own) {
            assert!(own.alone.is_none(), "it was attached");
            own.alone = Some(subscriber);
        }
    }
}

fn check(log: &Log, mut it: Following, to_the_end: bool, seed: u64) {
    for (&partition, &from) in &it.from {
        let (seen, all): (_, Vec<u64>) = (it.reader.all(partition), log.from(partition, from).collect());
        assert!(
            all.starts_with(&seen),
            "seed {seed}, partition {partition} from {from}: it has not seen each event once"
        );
        assert!(!to_the_end || seen == all, "seed {seed}, partition {partition} from {from}: it has not seen all");
    }
}

/// `SIMPLE_SOURCING_SEED=7` repeats one course.
#[test]
fn in_any_course_of_events_each_stream_sees_each_event_once_and_in_order() {
    let only = env::var("SIMPLE_SOURCING_SEED").ok().and_then(|seed| seed.parse().ok());
    match only {
        Some(seed) => course(seed),
        None => (0..20).for_each(course),
    }
}
