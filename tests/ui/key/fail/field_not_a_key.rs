//! What is in a key is a key.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
pub struct OrderNumber(Vec<u8>);

fn main() {}
