//! There is at least one event.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {}

fn main() {}
