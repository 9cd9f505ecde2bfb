//! An enum is written with the names of its variants.
use simple_sourcing::prelude::*;

#[event(key = String)]
#[serde(untagged)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
}

fn main() {}
