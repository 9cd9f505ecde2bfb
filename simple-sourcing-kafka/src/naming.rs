/// The topics of one aggregate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Commands on their way: `account-command_request`.
    Command,
    /// Events, kept for ever: `account-event`.
    Event,
    /// The latest state of each aggregate, compacted: `account-aggregate`.
    State,
    /// The outcome of each command, kept for the deduplication window: `account-command_response`.
    Response,
    /// Records of the command topic that are no commands, with their cause: `account-dead_letter`.
    DeadLetter,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 5] = [Topic::Command, Topic::Event, Topic::State, Topic::Response, Topic::DeadLetter];
}

/// Names the topics. The prefix of [`Kafka::prefix`](crate::Kafka::prefix) is put before what it says.
///
/// All processes of an app must use the same.
pub trait Naming: Send + Sync + 'static {
    /// The name of a topic of an aggregate type.
    fn topic(&self, aggregate: &str, topic: Topic) -> String;
}

/// The names of the Java original: `account-command_request`, `account-event`, `account-aggregate`,
/// `account-command_response`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultNaming;

impl Naming for DefaultNaming {
    fn topic(&self, aggregate: &str, topic: Topic) -> String {
        let suffix = match topic {
            Topic::Command => "command_request",
            Topic::Event => "event",
            Topic::State => "aggregate",
            Topic::Response => "command_response",
            Topic::DeadLetter => "dead_letter",
        };
        format!("{aggregate}-{suffix}")
    }
}
