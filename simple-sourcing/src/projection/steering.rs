use std::borrow::Cow;

/// What somebody decides about a version of a projection, wherever it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Steering {
    /// Project nothing, until it is resumed.
    Pause,
    /// Go on.
    Resume,
    /// Try parked events again.
    Retry {
        /// Those of this key; all, if there is none.
        key: Option<String>,
    },
    /// Never project this event, and keep why.
    Skip {
        /// The event.
        event: EventAt,
        /// Why.
        reason: String,
    },
    /// Begin again: empty its tables, and set its positions back to the beginning.
    Reset,
}

/// What has come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Steered {
    /// It is decided: whoever projects is fenced.
    Done,
    /// There is no such event, or key. Nothing has changed.
    Nothing,
    /// The version was never prepared in this store.
    NotThere,
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventAt {
    /// The wire name of the aggregate type.
    pub aggregate: Cow<'static, str>,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
}

impl EventAt {
    /// The event at this offset.
    pub fn new(aggregate: impl Into<Cow<'static, str>>, partition: u32, offset: u64) -> Self {
        EventAt { aggregate: aggregate.into(), partition, offset }
    }
}
