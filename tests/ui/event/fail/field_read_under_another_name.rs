//! A name that is written is read.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        #[serde(rename(serialize = "holder"))]
        owner: String,
    },
}

fn main() {}
