//! A custom function for writing needs one for reading.
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
