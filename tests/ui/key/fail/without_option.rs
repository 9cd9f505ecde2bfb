//! `#[key]` needs an option.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
#[key]
pub struct OrderNumber(u64);

fn main() {}
