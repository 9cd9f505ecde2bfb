//! A variant that serde skips is never written.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    #[serde(skip)]
    Cached,
}

fn main() {}
