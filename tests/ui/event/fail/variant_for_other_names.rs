//! Unknown variants must not be read as another.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    #[serde(other)]
    Unknown,
}

fn main() {}
