//! A key has one field.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
pub struct OrderNumber(u64, u64);

fn main() {}
