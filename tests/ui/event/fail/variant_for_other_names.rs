//! A variant is not read for names that are unknown.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    #[serde(other)]
    Unknown,
}

fn main() {}
