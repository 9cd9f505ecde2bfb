//! A tag stands among the names of fields.
use simple_sourcing::prelude::*;

#[event(key = String)]
#[serde(tag = "type")]
pub enum AccountEvent {
    #[create]
    Opened(String),
}

fn main() {}
