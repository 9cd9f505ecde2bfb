// errors: 3, because serde's derive reads a field as part of a sequence, of a map, and when it is missing
//! What is in an event can be read back, of which serde speaks in each of its functions.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Money(u64);

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { with: Money },
}

fn main() {}
