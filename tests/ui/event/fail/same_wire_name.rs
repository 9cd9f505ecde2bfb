//! Two events can't share a wire name.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    #[serde(rename = "Opened")]
    Reopened,
}

fn main() {}
