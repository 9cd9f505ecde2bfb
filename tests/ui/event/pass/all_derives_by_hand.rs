//! What the user writes by hand is not derived.
use simple_sourcing::prelude::*;

use simple_sourcing::__private::serde::{Deserializer, Serializer};

#[event(key = u8, manual(Debug, Clone, PartialEq, Serialize, Deserialize))]
pub enum DoorEvent {
    #[create]
    Opened,
}

impl std::fmt::Debug for DoorEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("open")
    }
}

impl Clone for DoorEvent {
    fn clone(&self) -> Self {
        DoorEvent::Opened
    }
}

impl PartialEq for DoorEvent {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Serialize for DoorEvent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for DoorEvent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u8::deserialize(from).map(|_| DoorEvent::Opened)
    }
}

fn main() {}
