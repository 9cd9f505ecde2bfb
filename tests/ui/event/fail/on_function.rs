//! `#[event]` must be on an enum, not on a function.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub fn opened() {}

fn main() {}
