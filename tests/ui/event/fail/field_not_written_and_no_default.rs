//! What may be left out can be read without.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        #[serde(skip_serializing_if = "String::is_empty")]
        owner: String,
    },
}

fn main() {}
