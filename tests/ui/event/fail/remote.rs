//! serde writes the traits of the enum.
use simple_sourcing::prelude::*;

#[event(key = String)]
#[serde(remote = "Self")]
pub enum AccountEvent {
    #[create]
    Opened,
}

fn main() {}
