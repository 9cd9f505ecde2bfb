//! Checks the group of the service processes: who is in it, and who commits its offsets. Whoever is in the group gets
//! partitions, and whoever deletes or resets its offsets says where commands resume. A worker does not trust that
//! (`worker/restore/resume.rs`), but commands wait as long as a foreign member has their partition, so the log names
//! it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use simple_sourcing::engine::Definition;
use tracing::{error, info, warn};

use crate::{
    config::{CLIENT_ID, Kafka},
    driver::{ANSWER_WITHIN, ClientError, Consumer, MemberInfo},
    progress::{By, Committed},
    topics::Topics,
};

/// How often the same member is logged.
const LOGGED_AGAIN: Duration = Duration::from_secs(60);

/// The group of an app that serves.
pub(super) struct Group {
    name: String,
    /// The client id of the members of this app.
    client_id: String,
    /// The command topics that are served, and how many partitions each has.
    commands: Vec<(String, u32)>,
    /// The members that do not belong to this app, by id.
    foreign_members: BTreeMap<String, ForeignMember>,
    offsets: BTreeMap<(String, u32), Seen>,
}

struct ForeignMember {
    /// Its client id and host.
    whose: String,
    logged: Instant,
}

/// What was last seen of a committed offset.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    None,
    Ours,
    Foreign,
}

impl Group {
    /// None if nothing is served.
    pub(super) fn of(kafka: &Kafka, definition: &Definition, topics: &[Topics]) -> Option<Self> {
        let served = definition.aggregates.iter().zip(topics).filter(|(aggregate, _)| aggregate.is_served());
        let commands: Vec<_> = served.map(|(_, topics)| (topics.command.clone(), topics.partitions)).collect();
        let client_id = kafka.client_id().to_owned();
        let (name, foreign_members, offsets) = (kafka.group.clone(), BTreeMap::new(), BTreeMap::new());
        (!commands.is_empty()).then_some(Group { name, client_id, commands, foreign_members, offsets })
    }

    /// Checks with a consumer that carries the group's name and is not in it.
    pub(super) fn check(&mut self, consumer: &Consumer) -> Result<(), ClientError> {
        let groups = consumer.groups(Some(&self.name), ANSWER_WITHIN)?;
        let members = groups.iter().filter(|group| group.name == self.name);
        self.check_members(&members.flat_map(|group| &group.members).collect::<Vec<_>>());
        for (topic, partition, committed) in consumer.committed(&self.commands, ANSWER_WITHIN)? {
            let committed = committed.map(|committed| Committed::read(committed.next, &committed.metadata));
            self.check_offset(&topic, partition, committed);
        }
        Ok(())
    }

    /// The members that do not belong to this app.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        self.foreign_members.iter().map(|(id, ForeignMember { whose, .. })| {
            let group = &self.name;
            format!(
                "member {id:?} ({whose}) of group `{group}` does not belong to this app: the commands of its partitions \
                 wait until it leaves"
            )
        })
    }

    fn check_members(&mut self, members: &[&MemberInfo]) {
        let foreign =
            members.iter().filter(|member| ![self.client_id.as_str(), CLIENT_ID].contains(&member.client_id.as_str()));
        let foreign: BTreeMap<&str, String> = foreign
            .map(|member| (member.id.as_str(), format!("{:?} at {:?}", member.client_id, member.host)))
            .collect();
        let group = &self.name;
        self.foreign_members.retain(|member, ForeignMember { whose, .. }| {
            let stays = foreign.contains_key(member.as_str());
            if !stays {
                info!(group, member = ?member, whose, "the member that does not belong to this app has left the group");
            }
            stays
        });
        for (member, whose) in foreign {
            let logged = self.foreign_members.get(member).map(|foreign_member| foreign_member.logged);
            if logged.is_some_and(|logged| logged.elapsed() < LOGGED_AGAIN) {
                continue;
            }
            error!(
                group,
                ?member,
                whose,
                ours = self.client_id,
                "a member of the group does not belong to this app, judging by its client id: the group assigns \
                 partitions to it, and their commands wait until it leaves. Stop it, or give it a group of its own; \
                 all service processes of an app must have the same `client.id`"
            );
            self.foreign_members.insert(member.to_owned(), ForeignMember { whose, logged: Instant::now() });
        }
    }

    fn check_offset(&mut self, topic: &str, partition: u32, committed: Option<Committed>) {
        let now = match &committed {
            None => Seen::None,
            Some(Committed { by: By::Worker { .. }, .. }) => Seen::Ours,
            Some(Committed { by: By::Other(_), .. }) => Seen::Foreign,
        };
        let before = self.offsets.insert((topic.to_owned(), partition), now);
        if before == Some(now) {
            return;
        }
        let (group, members) = (
            &self.name,
            self.foreign_members.iter().map(|(id, foreign_member)| format!("{id:?} ({})", foreign_member.whose)),
        );
        let members = members.collect::<Vec<_>>().join(", ");
        match committed {
            Some(Committed { next, by: By::Other(metadata) }) if !members.is_empty() => error!(
                group,
                topic,
                partition,
                committed = next,
                metadata,
                members,
                "somebody else has committed an offset, and the group has members that do not belong to this app. \
                 Nothing is lost: the next worker of the partition resumes behind what was written"
            ),
            Some(Committed { next, by: By::Other(metadata) }) => warn!(
                group,
                topic,
                partition,
                committed = next,
                metadata,
                "an offset was committed by somebody else, or by a service process of an earlier version. Nothing is \
                 lost: the next worker of the partition resumes behind what was written"
            ),
            None if before.is_some() => warn!(
                group,
                topic,
                partition,
                "a committed offset was deleted. Nothing is lost: the next worker of the partition resumes behind what \
                 was written"
            ),
            _ => {}
        }
    }
}
