//! An event must own its data, also in containers.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owners: Option<&'static [String]> },
}

fn main() {}
