//! Consumer groups: who is in them, and what they have committed.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
};

use super::{consumer::Consumer, errors::ClientError};

/// A consumer group.
#[derive(Debug)]
pub(crate) struct GroupInfo {
    pub(crate) name: String,
    pub(crate) members: Vec<MemberInfo>,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct MemberInfo {
    pub(crate) id: String,
    pub(crate) client_id: String,
    pub(crate) host: String,
    /// The metadata that it has sent to the group, in the format of the consumer protocol.
    pub(crate) metadata: Option<Vec<u8>>,
}

/// A committed offset, and its metadata.
#[derive(Debug, Clone)]
pub(crate) struct CommittedOffset {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) next: i64,
    pub(crate) metadata: String,
}

impl Consumer {
    /// The group with this name, or all groups of the cluster.
    pub(crate) fn groups(&self, name: Option<&str>, within: Duration) -> Result<Vec<GroupInfo>, ClientError> {
        let groups = self.base.client().fetch_group_list(name, within).map_err(ClientError)?;
        let member = |member: &rdkafka::groups::GroupMemberInfo| MemberInfo {
            id: member.id().to_owned(),
            client_id: member.client_id().to_owned(),
            host: member.client_host().to_owned(),
            metadata: member.metadata().map(<[u8]>::to_vec),
        };
        let group = |group: &rdkafka::groups::GroupInfo| GroupInfo {
            name: group.name().to_owned(),
            members: group.members().iter().map(member).collect(),
        };
        Ok(groups.groups().iter().map(group).collect())
    }

    /// What the group whose name this consumer carries has committed, for each partition. Leaves out partitions for
    /// which the coordinator has no answer.
    pub(crate) fn committed(
        &self,
        topics: &[(String, u32)],
        within: Duration,
    ) -> Result<Vec<(String, u32, Option<CommittedOffset>)>, ClientError> {
        let mut all = TopicPartitionList::new();
        for (topic, partitions) in topics {
            all.add_partition_range(topic, 0, *partitions as i32 - 1);
        }
        let committed = self.base.committed_offsets(all, within).map_err(ClientError)?;
        let elements = committed.elements();
        let known = elements.iter().filter(|element| element.error().is_ok()).map(|element| {
            let (topic, partition) = (element.topic().to_owned(), element.partition() as u32);
            let offset = match element.offset() {
                Offset::Offset(next) => Some(CommittedOffset {
                    topic: topic.clone(),
                    partition,
                    next,
                    metadata: element.metadata().to_owned(),
                }),
                _ => None,
            };
            (topic, partition, offset)
        });
        Ok(known.collect())
    }

    /// Commits offsets for the group whose name this consumer carries.
    pub(crate) fn commit(&self, offsets: &[CommittedOffset]) -> Result<(), ClientError> {
        let mut list = TopicPartitionList::new();
        for CommittedOffset { topic, partition, next, metadata } in offsets {
            let mut offset = list.add_partition(topic, *partition as i32);
            offset.set_offset(Offset::Offset(*next)).map_err(ClientError)?;
            offset.set_metadata(metadata.as_str());
        }
        self.base.commit(&list, CommitMode::Sync).map_err(ClientError)
    }
}
