//! A function for writing has one for reading beside it.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        #[serde(serialize_with = "own::serialize")]
        owner: String,
    },
}

fn main() {}
