//! Two events can't share a method.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
    HTTPFailed,
    HttpFailed,
}

fn main() {}
