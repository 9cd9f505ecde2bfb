//! An unnamed field can't be conditional.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened(#[cfg(all())] String, u64),
}

fn main() {}
