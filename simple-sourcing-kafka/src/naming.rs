/// The topics of one aggregate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Commands on their way: `account-command_request`.
    Command,
    /// Events, kept for ever: `account-event`.
    ///
    /// At one that can't be read, readers get an error that says where it stands, and go on behind it; a view stops. The
    /// service needs events only where a state can't be read, see below.
    Event,
    /// The latest state of each aggregate, compacted: `account-aggregate`.
    ///
    /// A state that can't be read, because it is damaged or of another shape, is made again from the events, in the
    /// background: the partition of the event topic is read once for all aggregates that wait for it. Until then, commands
    /// to the aggregate are answered with `Quarantined`, which may be sent again; no other aggregate waits.
    ///
    /// Where an event can't be read either, or one is missing, the aggregate stays quarantined, and the log has an error
    /// with topic, partition, offset and key. To release it, start a version that can read the event, or write the right
    /// state to this topic: the key as it is, the value as the service would write it, and the headers `ce_sequence` (that
    /// of the last event), `ce_commandoffset` (as on that event) and, if it is deleted, `ce_deleted`. It is found with the
    /// next command that comes some seconds after the last try.
    State,
    /// The outcome of each command, kept for the deduplication window: `account-command_response`.
    Response,
    /// Answers with an address, kept for an hour: `account-answer`.
    ///
    /// A client for which few of the responses are takes a partition of this topic, and puts its number into the header
    /// `ce_answerto` of what it sends: the answer then comes there, with headers and value as among the responses. There
    /// it stands too, in the same transaction, if it is the first outcome of a command; answers that nobody has to remember
    /// come to the address only. A number that the topic does not have is poison.
    ///
    /// Services make this topic, and clients do without it until it is there. An earlier version of a service does not know
    /// of addresses: where there is the topic, none may serve.
    Answer,
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
    /// Which app serves the aggregate type: `account-owner`, one partition, kept for ever.
    ///
    /// The topics are named after the aggregate type, and consumer groups after apps, so that by itself nothing would keep two
    /// apps of different names from serving one type, each with offsets of its own: every command would take effect twice.
    /// The first app that serves claims the type with a record here; the order of the log says which was the first, and every
    /// other one is refused, at its start and while it runs. Another name is [taken over](crate::Kafka::take_over_from) by a
    /// further claim. Clients do not need the topic.
    Owner,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 7] =
        [Topic::Command, Topic::Event, Topic::State, Topic::Response, Topic::Answer, Topic::DeadLetter, Topic::Owner];

    /// How many partitions it has, where those that hold aggregates have so many.
    pub(crate) fn partitions(self, of_aggregates: u32) -> u32 {
        if self == Topic::Owner { 1 } else { of_aggregates }
    }
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
            Topic::Answer => "answer",
            Topic::DeadLetter => "dead_letter",
            Topic::Owner => "owner",
        };
        format!("{aggregate}-{suffix}")
    }
}
