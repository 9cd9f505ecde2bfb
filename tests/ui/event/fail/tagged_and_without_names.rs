//! A tag needs named fields.
use simple_sourcing::prelude::*;

#[event(key = String)]
#[serde(tag = "type")]
pub enum AccountEvent {
    #[create]
    Opened(String),
}

fn main() {}
