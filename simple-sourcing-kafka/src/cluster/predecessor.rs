//! Apps that served an aggregate type before this one. Some have no claim, because earlier versions did not write any.
//! Others are taken over: their processes must have ended, and this app continues at their offsets.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use simple_sourcing::BackendError;
use tracing::{debug, info};

use crate::{
    access::{Operation, Right},
    cause,
    config::{CLIENT_ID, Kafka, TRANSACTION_TIMEOUT},
    driver::{ClientError, CommittedOffset, Consumer, GroupInfo, Purpose, TopicReader},
    log::Next,
    topics::Topics,
    wire,
};

/// How long to wait until all processes of a former owner have left the group, before a takeover is refused. One with
/// an instance name stays a member until its session expires.
pub(super) const ENDED_WITHIN: Duration = Duration::from_secs(15);

/// How long they may take to leave after a claim was written: they check the owner every few seconds.
pub(super) const LEAVE_WITHIN: Duration = Duration::from_secs(60);
const LEAVE_POLL: Duration = Duration::from_millis(200);

/// How far before the end of a partition the search for the last event begins. It looks eight times further each time
/// that it finds none.
const TAIL: i64 = 64;

/// The app that served before there were claims, if it is not this one: judged by who has written the last events, and
/// by whose processes read the commands. It does not count if this app has processed further commands since then.
pub(super) fn find(
    kafka: &Kafka,
    app: &str,
    topics: &Topics,
    groups: &Groups<'_>,
) -> Result<Option<String>, BackendError> {
    if let Some(group) = groups.others_that_read(&topics.command)? {
        return Ok(Some(group.strip_prefix(&kafka.prefix).unwrap_or(&group).to_owned()));
    }
    let last = last_events(kafka, topics)?;
    let others: BTreeSet<&str> = last.values().map(|last| last.app.as_str()).filter(|other| *other != app).collect();
    if others.is_empty() {
        return Ok(None);
    }
    let ours = groups.offsets(&kafka.group, topics)?;
    for other in others {
        let has_gone_on = |(partition, last): (&u32, &LastEvent)| {
            last.app != *other || ours.get(partition).is_some_and(|next| *next > last.command)
        };
        let theirs = || groups.offsets(&kafka.group_of(other), topics);
        if !last.iter().all(has_gone_on) || !theirs()?.is_empty() {
            return Ok(Some(other.to_owned()));
        }
    }
    Ok(None)
}

/// Who has written the last event of a partition, and the offset of its command.
struct LastEvent {
    app: String,
    command: i64,
}

fn last_events(kafka: &Kafka, topics: &Topics) -> Result<BTreeMap<u32, LastEvent>, BackendError> {
    let consumer = Arc::new(Consumer::open(kafka, Purpose::Brief)?);
    let mut last = BTreeMap::new();
    for partition in 0..topics.partitions {
        let (first, end) = consumer.bounds(&topics.event, partition)?;
        let mut from = end;
        let mut tail = TAIL;
        while from > first && !last.contains_key(&partition) {
            from = first.max(end - tail);
            tail *= 8;
            let reader = TopicReader::open(consumer.clone(), &topics.event, [(partition, Some(from))])?;
            last.extend(last_event(&reader, kafka)?.map(|event| (partition, event)));
        }
    }
    Ok(last)
}

/// The last event among what is read.
fn last_event(reader: &TopicReader<'_>, kafka: &Kafka) -> Result<Option<LastEvent>, BackendError> {
    let (mut last, deadline) = (None, Instant::now() + kafka.connect_timeout);
    loop {
        match reader.poll()? {
            Next::Record(record) => {
                if let (Some(app), Ok(event)) = (wire::source(&record), wire::read_event(&record)) {
                    let command = event.record.command_position.offset as i64;
                    last = Some(LastEvent { app: app.to_owned(), command });
                }
            }
            Next::Nothing if Instant::now() < deadline => {}
            // Events of open transactions do not count yet.
            Next::Nothing | Next::End(_) => return Ok(last),
        }
    }
}

/// The consumer groups of apps.
pub(super) struct Groups<'a> {
    kafka: &'a Kafka,
}

impl<'a> Groups<'a> {
    pub(super) fn new(kafka: &'a Kafka) -> Self {
        Groups { kafka }
    }

    /// An error if processes of an app read these commands.
    fn check_ended(&self, app: &str, command_topic: &str) -> Result<(), BackendError> {
        match self.members(&self.kafka.group_of(app), command_topic)? {
            0 => Ok(()),
            members => Err(BackendError::failed(format!(
                "app `{app}` can't be taken over from: it still runs, with {members} workers in group `{}` that read \
                 topic `{command_topic}`; stop all of its processes first. One that died, or has an instance name, \
                 stays a member until its session expires, after 10 seconds unless configured otherwise",
                self.kafka.group_of(app)
            ))),
        }
    }

    /// Waits until no process of an app reads these commands, and fails if one still does after this time.
    pub(super) fn await_ended(&self, app: &str, command_topic: &str, within: Duration) -> Result<(), BackendError> {
        let deadline = Instant::now() + within;
        loop {
            match self.check_ended(app, command_topic) {
                Err(error) if Instant::now() > deadline || cause::is_denied(&error) => return Err(error),
                Err(_) => thread::sleep(LEAVE_POLL),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Commits the offsets of the former owner for this app, where it has none yet.
    pub(super) fn take_offsets(&self, from: &str, app: &str, topics: &Topics) -> Result<(), BackendError> {
        let (group, theirs) = (&self.kafka.group, self.kafka.group_of(from));
        if self.members(group, &topics.command)? > 0 {
            // Another process of this app has taken them over.
            return Ok(());
        }
        let ours = self.committed(group, topics)?;
        let mut taken = self.committed(&theirs, topics)?;
        taken.retain(|theirs| ours.iter().all(|own| own.partition != theirs.partition));
        if !taken.is_empty() {
            let consumer = Consumer::named_after(self.kafka, group)?;
            let committed = retried(self.kafka.connect_timeout, || consumer.commit(&taken));
            committed.map_err(|error| self.failed(group, topics, error))?;
            info!(from, app, partitions = taken.len(), topic = topics.command, "took over the committed offsets");
        }
        Ok(())
    }

    /// Another group whose workers read these commands. Others may read them as well; workers are known by their client
    /// id.
    fn others_that_read(&self, command_topic: &str) -> Result<Option<String>, BackendError> {
        let reads = |group: &GroupInfo| self.workers(group, command_topic) > 0;
        let groups = self.list(None)?;
        let other = groups.into_iter().find(|group| group.name != self.kafka.group && reads(group));
        Ok(other.map(|group| group.name))
    }

    /// The committed offsets of a group for the commands, by partition.
    fn offsets(&self, group: &str, topics: &Topics) -> Result<BTreeMap<u32, i64>, BackendError> {
        let committed = self.committed(group, topics)?;
        Ok(committed.into_iter().map(|offset| (offset.partition, offset.next)).collect())
    }

    fn committed(&self, group: &str, topics: &Topics) -> Result<Vec<CommittedOffset>, BackendError> {
        let consumer = Consumer::named_after(self.kafka, group)?;
        let commands = [(topics.command.clone(), topics.partitions)];
        // An open transaction may hold some of them.
        let committed = retried(TRANSACTION_TIMEOUT * 3, || consumer.committed(&commands, self.kafka.connect_timeout));
        let committed = committed.map_err(|error| self.failed(group, topics, error))?;
        Ok(committed.into_iter().filter_map(|(.., offset)| offset).collect())
    }

    /// How many workers of a group read these commands.
    fn members(&self, group: &str, command_topic: &str) -> Result<usize, BackendError> {
        let groups = self.list(Some(group))?;
        let group = groups.iter().find(|found| found.name == group);
        Ok(group.map_or(0, |group| self.workers(group, command_topic)))
    }

    fn workers(&self, group: &GroupInfo, command_topic: &str) -> usize {
        let is_worker = |id: &str| id == CLIENT_ID || self.kafka.value("client.id") == Some(id);
        let workers = group.members.iter().filter(|member| is_worker(&member.client_id));
        workers.filter(|member| member.metadata.as_ref().is_some_and(|it| subscribes_to(it, command_topic))).count()
    }

    fn list(&self, group: Option<&str>) -> Result<Vec<GroupInfo>, BackendError> {
        let consumer = Consumer::open(self.kafka, Purpose::Brief)?;
        let list = || consumer.groups(group, self.kafka.connect_timeout);
        retried(self.kafka.connect_timeout, list).map_err(|error| {
            let needs: Vec<Right> =
                group.map(|group| Right::on_group(Operation::Describe, group)).into_iter().collect();
            error.describe(self.kafka, "the members of consumer groups can't be listed", &needs)
        })
    }

    fn failed(&self, group: &str, topics: &Topics, error: ClientError) -> BackendError {
        let needs = [Right::on_group(Operation::Read, group), Right::on_topic(Operation::Read, &topics.command)];
        error.describe(self.kafka, format!("the committed offsets of group `{group}` can't be taken over"), &needs)
    }
}

/// Retries a question: a group coordinator may not know its groups yet.
fn retried<T>(within: Duration, ask: impl Fn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    let deadline = Instant::now() + within;
    loop {
        match ask() {
            Err(error) if Instant::now() < deadline && error.is_retryable() => {
                debug!(%error, "retrying");
                thread::sleep(LEAVE_POLL);
            }
            answer => return answer,
        }
    }
}

/// Whether the metadata that a member has sent to its group names a topic. It has the version, then the topics, each
/// behind its length.
fn subscribes_to(metadata: &[u8], topic: &str) -> bool {
    let (mut rest, count) = match metadata {
        [_, _, a, b, c, d, rest @ ..] => (rest, u32::from_be_bytes([*a, *b, *c, *d])),
        _ => return false,
    };
    for _ in 0..count {
        let [a, b, names @ ..] = rest else { return false };
        let Some((name, behind)) = names.split_at_checked(u16::from_be_bytes([*a, *b]).into()) else { return false };
        if name == topic.as_bytes() {
            return true;
        }
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_names_its_topics() {
        let metadata = b"\x00\x01\x00\x00\x00\x02\x00\x03one\x00\x05other\xff\xff\xff\xff";
        assert!(subscribes_to(metadata, "one") && subscribes_to(metadata, "other"));
        assert!(!subscribes_to(metadata, "on") && !subscribes_to(metadata, "\u{ff}"));
        for cut in 0..metadata.len() {
            assert!(!subscribes_to(&metadata[..cut], "third"), "cut at {cut}");
        }
    }
}
