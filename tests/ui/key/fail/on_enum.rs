//! A key is a newtype, not an enum.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
pub enum OrderNumber {
    First(u64),
}

fn main() {}
