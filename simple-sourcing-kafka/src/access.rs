#![doc = include_str!("access.md")]

use std::fmt;

use simple_sourcing::{Command, Event, engine::AggregateDefinition};

use crate::{
    config::{Kafka, sharing_prefix},
    naming::Topic,
};

/// The resource that a right applies to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// The topic with this name.
    Topic(String),
    /// The consumer group with this name.
    Group(String),
    /// All consumer groups with this prefix.
    Groups(String),
    /// All transactional ids with this prefix.
    TransactionalIds(String),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Topic(name) => write!(f, "topic `{name}`"),
            Resource::Group(name) => write!(f, "group `{name}`"),
            Resource::Groups(prefix) => write!(f, "groups that begin with `{prefix}`"),
            Resource::TransactionalIds(prefix) => write!(f, "transactional ids that begin with `{prefix}`"),
        }
    }
}

/// An operation that Kafka can grant to a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are Kafka's")]
pub enum Operation {
    Read,
    Write,
    Create,
    Describe,
    DescribeConfigs,
}

/// A right to be granted. Its `Display` gives the options of `kafka-acls.sh` that grant it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Right {
    /// The operation that is allowed.
    pub operation: Operation,
    /// The resource on which it is allowed.
    pub resource: Resource,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--operation {:?} ", self.operation)?;
        match &self.resource {
            Resource::Topic(name) => write!(f, "--topic {name}"),
            Resource::Group(name) => write!(f, "--group {name}"),
            Resource::Groups(prefix) => write!(f, "--resource-pattern-type prefixed --group {prefix}"),
            Resource::TransactionalIds(prefix) => {
                write!(f, "--resource-pattern-type prefixed --transactional-id {prefix}")
            }
        }
    }
}

/// What a process does with an aggregate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It serves commands.
    Service,
    /// It sends commands and reads events.
    Client,
    /// It creates missing topics, in addition to one of the other roles.
    Creator,
    /// It shares the partitions of the events with other processes, in addition to one of the other roles.
    Sharer,
    /// It looks at all states and at the dead letters, in addition to one of the other roles.
    Inspector,
}

impl Role {
    /// The role of this process for an aggregate type of its app.
    pub(crate) fn of(aggregate: &AggregateDefinition) -> Self {
        if aggregate.is_served() { Role::Service } else { Role::Client }
    }

    fn operations(self, topic: Topic) -> &'static [Operation] {
        use Operation::{Create, DescribeConfigs, Read, Write};
        match (self, topic) {
            (Role::Service, Topic::Command) => &[Read, DescribeConfigs],
            (Role::Service, Topic::Event | Topic::State | Topic::Response | Topic::Owner) => {
                &[Read, Write, DescribeConfigs]
            }
            (Role::Service, Topic::Answer | Topic::DeadLetter) => &[Write, DescribeConfigs],
            (Role::Client, Topic::Command) => &[Write, DescribeConfigs],
            (Role::Client, Topic::Event | Topic::Response | Topic::Answer) => &[Read, DescribeConfigs],
            (Role::Client, Topic::State | Topic::DeadLetter | Topic::Owner) => &[],
            (Role::Creator, _) => &[Create],
            (Role::Inspector, Topic::State | Topic::DeadLetter) => &[Read],
            (Role::Sharer | Role::Inspector, _) => &[],
        }
    }

    /// The topics of an aggregate type that this role uses.
    pub(crate) fn topics(self) -> impl Iterator<Item = Topic> {
        Topic::ALL.into_iter().filter(move |&topic| !self.operations(topic).is_empty())
    }

    /// Whether this role works without a topic until another process has created it.
    pub(crate) fn does_without(self, topic: Topic) -> bool {
        (self, topic) == (Role::Client, Topic::Answer)
    }
}

impl Kafka {
    /// The rights that a process of an app needs for one aggregate type, and no others; see the [page](crate::access)
    /// on security. These rights are the trust boundary: records carry no signature, and the page says what a forged
    /// one can do.
    ///
    /// ```
    /// # use simple_sourcing::prelude::*;
    /// # use simple_sourcing_kafka::{Kafka, access::Role};
    /// # #[event(key = String)]
    /// # pub enum AccountEvent { #[create] Opened }
    /// # #[command(event = AccountEvent, error = Never)]
    /// # pub enum AccountCommand { #[create] Open }
    /// # #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
    /// # #[error("never")]
    /// # pub struct Never;
    /// let kafka = Kafka::new("localhost:9092").prefix("test.");
    /// let rights = kafka.rights::<AccountCommand>("bank", Role::Client);
    /// let options: Vec<String> = rights.iter().map(ToString::to_string).collect();
    /// assert_eq!(
    ///     options,
    ///     [
    ///         "--operation Write --topic test.account-command_request",
    ///         "--operation DescribeConfigs --topic test.account-command_request",
    ///         "--operation Read --topic test.account-event",
    ///         "--operation DescribeConfigs --topic test.account-event",
    ///         "--operation Read --topic test.account-command_response",
    ///         "--operation DescribeConfigs --topic test.account-command_response",
    ///         "--operation Read --topic test.account-answer",
    ///         "--operation DescribeConfigs --topic test.account-answer",
    ///         "--operation Describe --group test.bank",
    ///     ]
    /// );
    /// // Each is granted by `kafka-acls.sh --bootstrap-server ... --add --allow-principal User:... ` and these options.
    /// ```
    pub fn rights<C: Command>(&self, app: &str, role: Role) -> Vec<Right> {
        self.rights_on(C::Event::AGGREGATE, &self.group_of(app), role)
    }

    pub(crate) fn rights_on(&self, aggregate: &str, group: &str, role: Role) -> Vec<Right> {
        let on_topic = |topic| {
            let resource = Resource::Topic(self.topic(aggregate, topic));
            role.operations(topic).iter().map(move |&operation| Right { operation, resource: resource.clone() })
        };
        let mut rights: Vec<Right> = Topic::ALL.into_iter().flat_map(on_topic).collect();
        match role {
            Role::Service => rights.extend([Right::on_group(Operation::Read, group), Right::on_transactions(group)]),
            Role::Client => rights.push(Right::on_group(Operation::Describe, group)),
            Role::Sharer => {
                let resource = Resource::Groups(sharing_prefix(group));
                rights.push(Right { operation: Operation::Read, resource });
            }
            Role::Creator | Role::Inspector => {}
        }
        rights
    }

    /// Says that one of these rights is missing, and how to grant it.
    pub(crate) fn lacking(&self, rights: &[&Right]) -> String {
        let (user, servers) = (self.user().unwrap_or("..."), &self.bootstrap_servers);
        let command = format!("kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:{user}");
        let names: Vec<String> = rights.iter().map(|right| right.in_words()).collect();
        let commands: Vec<String> = rights.iter().map(|right| format!("`{command} {right}`")).collect();
        let (names, commands) = (names.join(" or "), commands.join(" and "));
        format!("{} lacks {names}; grant it with {commands}", self.principal())
    }
}

impl Right {
    pub(crate) fn on_topic(operation: Operation, name: &str) -> Self {
        Right { operation, resource: Resource::Topic(name.to_owned()) }
    }

    pub(crate) fn on_group(operation: Operation, name: &str) -> Self {
        Right { operation, resource: Resource::Group(name.to_owned()) }
    }

    pub(crate) fn is_on_topic(&self, name: &str) -> bool {
        matches!(&self.resource, Resource::Topic(on) if on == name)
    }

    /// For messages.
    pub(crate) fn in_words(&self) -> String {
        format!("{:?} on {}", self.operation, self.resource)
    }

    /// Transactional ids begin with the name of the group.
    pub(crate) fn on_transactions(group: &str) -> Self {
        Right { operation: Operation::Write, resource: Resource::TransactionalIds(format!("{group}-")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the table of the page in step with the code.
    #[test]
    fn the_table_is_that_of_the_rights() {
        let kafka = Kafka::new("");
        let roles = [Role::Service, Role::Client, Role::Creator, Role::Sharer, Role::Inspector];
        let rights = roles.map(|role| kafka.rights_on("account", "bank", role));
        let topics = Topic::ALL.map(|topic| Resource::Topic(kafka.topic("account", topic)));
        let others = [
            Resource::Group("bank".to_owned()),
            Resource::Groups("bank-share-".to_owned()),
            Resource::TransactionalIds("bank-".to_owned()),
        ];
        let table: String = topics
            .iter()
            .chain(&others)
            .map(|resource| {
                let cell = |rights: &Vec<Right>| {
                    let of_it = rights.iter().filter(|right| right.resource == *resource);
                    let operations: Vec<String> = of_it.map(|right| format!("{:?}", right.operation)).collect();
                    if operations.is_empty() { " |".to_owned() } else { format!(" {} |", operations.join(", ")) }
                };
                format!("| {resource} |{}\n", rights.each_ref().map(cell).concat())
            })
            .collect();
        assert!(
            include_str!("access.md").contains(&format!("|---|---|---|---|---|---|\n{table}\n")),
            "not there:\n{table}"
        );
    }
}
