//! A variant is written with its name.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    #[serde(untagged)]
    Noted(String),
}

fn main() {}
