// errors: 4, because the compiler says so again where the event is applied and projected
//! What is left to the user is written.
use simple_sourcing::prelude::*;

#[event(key = String, manual(PartialEq))]
pub enum AccountEvent {
    #[create]
    Opened,
}

fn main() {}
