//! serde must implement its traits for the enum.
use simple_sourcing::prelude::*;

#[event(key = String)]
#[serde(remote = "Self")]
pub enum AccountEvent {
    #[create]
    Opened,
}

fn main() {}
