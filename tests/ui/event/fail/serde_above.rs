//! serde's attributes must be below the macro that adds its derives.
use simple_sourcing::prelude::*;

#[serde(rename_all = "snake_case")]
#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
}

fn main() {}
