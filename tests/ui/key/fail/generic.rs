//! A key has no type parameters.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
pub struct OrderNumber<T>(T);

fn main() {}
