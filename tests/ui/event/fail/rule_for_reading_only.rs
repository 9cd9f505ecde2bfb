//! A rule for names is one rule.
use simple_sourcing::prelude::*;

#[event(key = String)]
#[serde(rename_all(deserialize = "snake_case"))]
pub enum AccountEvent {
    #[create]
    Opened,
    NameChanged,
}

fn main() {}
