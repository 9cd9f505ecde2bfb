//! A wire name can't be conditional.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    #[cfg_attr(all(), serde(rename = "created"))]
    Opened,
}

fn main() {}
