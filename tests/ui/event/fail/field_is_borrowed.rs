//! An event must own its data.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: &'static str },
}

fn main() {}
