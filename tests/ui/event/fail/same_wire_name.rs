//! Two events do not have one name on the wire.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    #[serde(rename = "Opened")]
    Reopened,
}

fn main() {}
