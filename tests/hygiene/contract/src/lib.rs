//! The contract of an aggregate: its clients and its service depend on this crate. It knows the framework under another
//! name than its own.

use framework::{Key, command, event};
use serde::{Deserialize, Serialize};

/// The number of a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
#[key(crate = "framework")]
pub struct Number(pub u64);

/// What has happened to a parcel.
#[event(key = Number, crate = "framework")]
pub enum ParcelEvent {
    /// It was sent off.
    #[create]
    Sent {
        /// To whom.
        to: String,
    },
    /// It came to another place.
    Moved {
        /// The place.
        to: String,
    },
    /// It was handed over.
    #[delete]
    Delivered,
}

/// What may be asked of a parcel.
#[command(event = ParcelEvent, error = ParcelError, crate = "framework")]
pub enum ParcelCommand {
    /// Sends it off.
    #[create]
    Send {
        /// To whom.
        to: String,
    },
    /// Brings it to another place.
    Move {
        /// The place.
        to: String,
    },
    /// Hands it over.
    Deliver,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum ParcelError {
    /// It is there.
    #[error("the parcel is in {place}")]
    AlreadyThere {
        /// The place.
        place: String,
    },
}
