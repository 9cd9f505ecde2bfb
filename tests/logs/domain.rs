//! Notes: their keys and texts come from clients, and end up in everything that can go wrong.

use std::panic::resume_unwind;

use simple_sourcing::prelude::*;

#[event(key = String)]
pub(crate) enum NoteEvent {
    #[create]
    Written { text: String },
}

#[command(event = NoteEvent, error = NoteError)]
pub(crate) enum NoteCommand {
    #[create]
    Write {
        text: String,
    },
    Refuse {
        text: String,
    },
    /// The handler panics.
    Fail {
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoteError(String);

#[aggregate(command = NoteCommand)]
pub(crate) struct Note {
    pub(crate) text: String,
}

impl NoteHandler for Note {
    fn write(text: String) -> Decision<Self> {
        emit(NoteEvent::Written { text })
    }

    fn refuse(&self, text: String) -> Decision<Self> {
        reject(NoteError(text))
    }

    fn fail(&self, text: String) -> Decision<Self> {
        // Caught like any other panic, but the hook does not print it.
        resume_unwind(Box::new(text))
    }
}

impl NoteApplier for Note {
    fn written(text: String) -> Self {
        Note { text }
    }
}

/// A view that can't continue.
pub(crate) struct Stuck;

impl NoteProjector for Stuck {
    fn written(&mut self, _: &EventMeta<String>, text: String) {
        resume_unwind(Box::new(text))
    }
}

/// The notes of a version of the service that can read neither states nor events of the other.
pub(crate) mod incompatible {
    use simple_sourcing::prelude::*;

    #[event(key = String)]
    pub(crate) enum NoteEvent {
        #[create]
        Scribbled { lines: u32 },
    }

    #[command(event = NoteEvent, error = super::NoteError)]
    pub(crate) enum NoteCommand {
        #[create]
        Scribble {
            lines: u32,
        },
        Refuse {
            text: String,
        },
    }

    #[aggregate(command = NoteCommand)]
    pub(crate) struct Note {
        lines: u32,
    }

    impl NoteHandler for Note {
        fn scribble(lines: u32) -> Decision<Self> {
            emit(NoteEvent::Scribbled { lines })
        }

        fn refuse(&self, text: String) -> Decision<Self> {
            reject(super::NoteError(text))
        }
    }

    impl NoteApplier for Note {
        fn scribbled(lines: u32) -> Self {
            Note { lines }
        }
    }
}
