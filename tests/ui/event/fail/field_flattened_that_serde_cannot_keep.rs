//! What is flattened can be read back.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        #[serde(flatten)]
        balances: std::collections::BTreeMap<String, u128>,
    },
}

fn main() {}
