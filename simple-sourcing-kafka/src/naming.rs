/// The topics of one aggregate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Commands to be processed: `account-command_request`.
    Command,
    /// Events, kept for ever: `account-event`.
    ///
    /// If an event can't be read, readers get an error that says where it is, and continue behind it; a view stops. The
    /// service itself needs events only if a state can't be read, see below.
    Event,
    /// The latest state of each aggregate, compacted: `account-aggregate`.
    ///
    /// A state that can't be read, because it is damaged or has another shape, is refolded from the events in the
    /// background: one pass over the partition of the event topic serves all aggregates that wait for it. Until then,
    /// commands to the aggregate are answered with `Quarantined`, and may be sent again. Other aggregates do not wait.
    ///
    /// If an event can't be read either, or one is missing, the aggregate stays quarantined, and the log has an error
    /// with topic, partition, offset and key. To release it, deploy a version that can read the event, or write the
    /// right state to this topic: the same key, the value as the service would write it, and the headers `ce_sequence`
    /// (of the last event), `ce_commandoffset` (as on that event) and, if the aggregate is deleted, `ce_deleted`. The
    /// service finds it with the next command that arrives some seconds after the last attempt.
    State,
    /// The outcome of each command, kept for the deduplication window: `account-command_response`.
    Response,
    /// Answers with an address, kept for an hour: `account-answer`.
    ///
    /// A client that would have to read too many responses to others takes a partition of this topic, and puts its
    /// number into the header `ce_answerto` of its commands. Their answers are then written there, with the same
    /// headers and values as responses. The first outcome of a command is written to the response topic as well, in the
    /// same transaction; answers that need not be remembered are not. A number that the topic does not have is poison.
    ///
    /// Services create this topic; clients work without it until it exists. Earlier versions of a service do not know
    /// addresses, so none of them may serve once the topic exists.
    Answer,
    /// Poison: `account-dead_letter`.
    ///
    /// It holds each record of the command topic that is not a command (no key, no id, no value, or in the wrong
    /// partition), and each command on which the service failed ([which are those](simple_sourcing::engine::Poison)):
    /// with its key, value and headers, and the headers `dead_letter_topic`, `dead_letter_partition`,
    /// `dead_letter_offset` and `dead_letter_cause`. A record that is too long for this topic leaves only those, and
    /// `dead_letter_left_out`.
    ///
    /// A dead letter is written in the transaction of the answer and the consumed offset, so exactly once. To run its
    /// command after the cause is fixed, send it again under a new id: the old id has its answer.
    DeadLetter,
    /// Which app serves the aggregate type: `account-owner`, one partition, kept for ever.
    ///
    /// Topics are named after the aggregate type, and consumer groups after the app. So nothing else would keep two
    /// apps with different names from serving one type, each with its own offsets, and every command would take effect
    /// twice. The first app that serves the type writes a claim here. The order of the log decides who was first; any
    /// other app is refused, when it starts and while it runs. A further claim [takes
    /// over](crate::Kafka::take_over_from) from another name. Clients do not need this topic.
    Owner,
}

impl Topic {
    /// All topics.
    pub const ALL: [Topic; 7] =
        [Topic::Command, Topic::Event, Topic::State, Topic::Response, Topic::Answer, Topic::DeadLetter, Topic::Owner];

    /// How many partitions it has, if the topics with aggregates have this many.
    pub(crate) fn partitions(self, of_aggregates: u32) -> u32 {
        if self == Topic::Owner { 1 } else { of_aggregates }
    }
}

/// Names the topics. [`Kafka::prefix`](crate::Kafka::prefix) is added in front.
///
/// All processes of an app must use the same names.
pub trait Naming: Send + Sync + 'static {
    /// The name of a topic of an aggregate type.
    fn topic(&self, aggregate: &str, topic: Topic) -> String;
}

/// The default names: `account-command_request`, `account-event`, `account-aggregate`, `account-command_response` and
/// so on.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultNaming;

impl Naming for DefaultNaming {
    fn topic(&self, aggregate: &str, topic: Topic) -> String {
        let suffix = match topic {
            Topic::Command => "command_request",
            Topic::Event => "event",
            Topic::State => "aggregate",
            Topic::Response => "command_response",
            Topic::Answer => "answer",
            Topic::DeadLetter => "dead_letter",
            Topic::Owner => "owner",
        };
        format!("{aggregate}-{suffix}")
    }
}
