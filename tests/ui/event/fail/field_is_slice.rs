//! What is in an event is owned, also in containers.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owners: Option<&'static [String]> },
}

fn main() {}
