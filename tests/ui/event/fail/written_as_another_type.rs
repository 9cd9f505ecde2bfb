//! What is written as another type is read as it.
use simple_sourcing::prelude::*;

#[event(key = String)]
#[serde(into = "String")]
pub enum AccountEvent {
    #[create]
    Opened,
}

fn main() {}
