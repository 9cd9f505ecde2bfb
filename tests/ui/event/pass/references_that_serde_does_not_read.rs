//! References that serde reads in a way of the user's own.
use simple_sourcing::prelude::*;

#[event(key = u8)]
pub enum LogEvent {
    #[create]
    Opened {
        #[serde(with = "text")]
        known: Vec<&'static str>,
    },
}

mod text {
    use simple_sourcing::__private::serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(texts: &[&str], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(texts.is_empty())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error> {
        bool::deserialize(from).map(|known| vec!["known"; usize::from(known)])
    }
}

fn main() {}
