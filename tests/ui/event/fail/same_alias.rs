//! An alias is not the name of another event.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    #[serde(alias = "Opened")]
    Reopened,
}

fn main() {}
