//! `#[key]` takes only options that it knows.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
#[key(krate = "simple_sourcing")]
pub struct OrderNumber(u64);

fn main() {}
