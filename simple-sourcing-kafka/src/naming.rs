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
    /// Poison: `account-dead_letter`.
    ///
    /// It holds each record of the command topic that is no command (no key, no id, no value, in the wrong partition) and
    /// each command on which the service failed ([which are those](simple_sourcing::engine::Poison)): its key, value and
    /// headers as they came, and the headers `dead_letter_topic`, `dead_letter_partition`, `dead_letter_offset` and
    /// `dead_letter_cause`. A record that is too long for this topic leaves only those, and `dead_letter_left_out`.
    ///
    /// It is written in the transaction of the answer and of the consumed offset, so exactly once. A command that is still
    /// wanted when the cause is mended is sent anew, under a new id: the old one has its answer.
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
