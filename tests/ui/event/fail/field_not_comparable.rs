//! What is in an event can be compared.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Money(u64);

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { with: Money },
}

fn main() {}
