// errors: 7, because five derives are missing and the compiler reports each; serde speaks of `Deserialize` in three places
//! What is in an event has the traits of an event.
use simple_sourcing::prelude::*;

pub struct Money(u64);

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { with: Money },
}

fn main() {}
