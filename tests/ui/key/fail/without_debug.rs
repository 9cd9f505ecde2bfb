//! A key can be shown.
use simple_sourcing::prelude::*;

#[derive(Clone, PartialEq, Eq, Hash, Key)]
pub struct OrderNumber(u64);

fn main() {}
