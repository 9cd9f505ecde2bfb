//! The method of an event has a name that methods can have.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    Super,
}

fn main() {}
