//! Watches the topics of a running app.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use simple_sourcing::{BackendError, engine::Definition};
use tracing::{debug, error};

use super::{group::Group, owner::Owners, stalls::Stalls};
use crate::{
    config::Kafka,
    driver::{ANSWER_WITHIN, Admin, Consumer, Edge, Purpose},
    naming::Topic,
    status::Problem,
    topics::{Ends, Requirements, Topics},
};

/// How often the topics are checked. `Kafka` and the errors mention it.
const INTERVAL: Duration = Duration::from_secs(5);

/// How soon to check again after a finding: a broker that has just started may not know all topics yet.
const CONFIRMING: Duration = Duration::from_secs(1);

/// The thread that checks.
pub(crate) struct Watch {
    /// The thread ends when this is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is checked.
struct Checks {
    admin: Admin,
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    ends: Arc<Ends>,
    owners: Arc<Owners>,
    stalls: Stalls,
    /// None if nothing is served.
    group: Option<Group>,
    /// Topics that clients can work without, but that have existed: they must stay.
    seen_once: BTreeSet<String>,
    /// Asks for high watermarks.
    uncommitted: Consumer,
    /// Asks for last stable offsets.
    committed: Consumer,
}

impl Watch {
    /// Watches until the value is dropped, and reports once if a topic is no longer as it must be.
    pub(crate) fn start(
        kafka: &Kafka,
        definition: &Arc<Definition>,
        topics: &Arc<[Topics]>,
        (ends, owners): (&Arc<Ends>, &Arc<Owners>),
        changed: impl FnOnce(BackendError) + Send + 'static,
    ) -> Result<Self, BackendError> {
        let mut checks = Checks {
            admin: Admin::connect(kafka)?,
            definition: definition.clone(),
            topics: topics.clone(),
            ends: ends.clone(),
            owners: owners.clone(),
            stalls: Stalls::new(&kafka.bootstrap_servers),
            group: Group::of(kafka, definition, topics),
            seen_once: BTreeSet::new(),
            uncommitted: Consumer::open(kafka, Purpose::Ends)?,
            committed: Consumer::open(kafka, Purpose::Follow)?,
        };
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("topics".into()).spawn(move || {
            let (mut suspected, mut wait) = (false, Duration::ZERO);
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) {
                wait = INTERVAL;
                let checked = checks.run();
                checks.show(&checked);
                match checked {
                    Ok(None) => suspected = false,
                    // What keeps this thread from checking keeps the others from working, and they report it.
                    Err(error) => {
                        debug!(%error, "could not check the topics");
                        checks.find_brokers();
                    }
                    Ok(Some(error)) if suspected => {
                        error!(%error, "stopping: a topic is not as it must be");
                        changed(error);
                        return;
                    }
                    Ok(Some(error)) => {
                        debug!(%error, "checking again");
                        (suspected, wait) = (true, CONFIRMING);
                    }
                }
            }
        });
        let failed = |error| BackendError::failed("the thread that watches the topics can't be spawned").because(error);
        Ok(Watch { stop: Some(stop), thread: Some(thread.map_err(failed)?) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            // The thread itself may drop this, because of what it has found.
            && thread.thread().id() != thread::current().id()
        {
            // The panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Checks {
    /// Returns what is wrong with the topics. Fails if it can't be found out.
    fn run(&mut self) -> Result<Option<BackendError>, BackendError> {
        if let Some(error) = self.ends.recreated() {
            return Ok(Some(error.clone()));
        }
        let kafka = self.admin.kafka();
        for (aggregate, topics) in self.definition.aggregates.iter().zip(self.topics.iter()) {
            let requirements = Requirements { kafka, aggregate, partitions: topics.partitions };
            let names: Vec<&str> = topics.role.topics().map(|topic| topics.name(topic)).collect();
            let found = self.admin.found(&names)?;
            for (topic, found) in topics.role.topics().zip(&found) {
                if topics.role.does_without(topic) {
                    if found.is_there() {
                        self.seen_once.insert(topics.name(topic).to_owned());
                    } else if !self.seen_once.contains(topics.name(topic)) {
                        continue;
                    }
                }
                if let Err(error) = requirements.check(topic, found) {
                    return Ok(Some(error));
                }
            }
        }
        if let Some(error) = self.check_beginnings()? {
            return Ok(Some(error));
        }
        match self.owners.check_all() {
            Err(error) if !error.is_retryable() => return Ok(Some(error)),
            checked => checked?,
        }
        let found = self.check_ends()?;
        if let Some(group) = &mut self.group
            && let Err(error) = group.check(&self.uncommitted)
        {
            debug!(%error, "could not check the group");
        }
        Ok(found)
    }

    /// Shows what keeps the app from working as it should.
    fn show(&self, checked: &Result<Option<BackendError>, BackendError>) {
        let problems = &self.admin.kafka().problems;
        let unchecked = checked.as_ref().err().map(|error| format!("the topics can't be checked: {error}"));
        problems.set(Problem::Unchecked, unchecked);
        if let Ok(found) = checked {
            problems.set(Problem::Topics, found.as_ref().map(ToString::to_string));
        }
        problems.set(Problem::ForeignMembers, self.group.iter().flat_map(Group::problems));
    }

    /// Has each client find its brokers again: the one it has asked may be gone.
    fn find_brokers(&self) {
        let found = self.admin.find_controller(ANSWER_WITHIN);
        // If no broker answers one of them, none answers the others.
        let found = found.and_then(|()| self.committed.find_leaders(None, ANSWER_WITHIN));
        let found = found.and_then(|()| self.uncommitted.find_leaders(None, ANSWER_WITHIN));
        if let Err(error) = found {
            debug!(%error, "no broker answers");
        }
    }

    /// Topics that are kept for ever begin at 0, even if they are compacted.
    fn check_beginnings(&self) -> Result<Option<BackendError>, BackendError> {
        let kept = |topic: Topic| matches!(topic, Topic::Event | Topic::State);
        for (name, partition, first) in self.offsets_of_all(&self.uncommitted, kept, Edge::Beginning)? {
            let mut all = self.topics.iter().flat_map(|topics| [(topics, Topic::Event), (topics, Topic::State)]);
            let found = all.find(|(topics, topic)| first > 0 && topics.name(*topic) == name);
            if let Some((topics, topic)) = found {
                return Ok(Some(topics.truncated(topic, partition, first)));
            }
        }
        Ok(None)
    }

    fn check_ends(&mut self) -> Result<Option<BackendError>, BackendError> {
        // Last stable offsets first: what is committed in between then seems open once, but what is open never seems
        // committed.
        let checked_here = |topic| topic != Topic::DeadLetter;
        let committed = self.offsets_of_all(&self.committed, checked_here, Edge::End)?.into_iter();
        let committed: HashMap<_, _> = committed.map(|(topic, partition, end)| ((topic, partition), end)).collect();
        let ends = self.offsets_of_all(&self.uncommitted, checked_here, Edge::End)?;
        let now = Instant::now();
        for (topic, partition, end) in ends {
            if let Err(error) = self.ends.observe(&topic, partition, end) {
                return Ok(Some(error));
            }
            let at = (topic, partition);
            if let Some(&committed) = committed.get(&at) {
                self.stalls.observe(&at.0, partition, committed, end, now);
            }
        }
        let long_open = self.stalls.long_open(now);
        let kafka = self.admin.kafka();
        kafka.problems.set(Problem::OpenTransactions, long_open.iter().map(ToString::to_string));
        kafka.restoring.held_back_by(long_open);
        Ok(None)
    }

    /// The beginnings or ends of all partitions of some topics, as a consumer may see them.
    fn offsets_of_all(
        &self,
        consumer: &Consumer,
        wanted: impl Fn(Topic) -> bool,
        edge: Edge,
    ) -> Result<Vec<(String, u32, i64)>, BackendError> {
        let mut all = Vec::new();
        for topics in self.topics.iter() {
            let is_there =
                |topic: Topic| !topics.role.does_without(topic) || self.seen_once.contains(topics.name(topic));
            for topic in topics.role.topics().filter(|&topic| wanted(topic) && is_there(topic)) {
                let partitions = 0..topic.partitions(topics.partitions);
                all.extend(partitions.map(|partition| (topics.name(topic), partition)));
            }
        }
        consumer.edges(all, edge)
    }
}
