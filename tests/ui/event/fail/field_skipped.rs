//! What serde skips is not in the event.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        #[serde(skip)]
        owner: String,
    },
}

fn main() {}
