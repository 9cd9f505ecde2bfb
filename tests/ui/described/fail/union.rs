//! A union is not described: serde can't write it.
use simple_sourcing::prelude::*;

#[derive(Clone, Copy, Described)]
pub union Bits {
    number: u32,
    bytes: [u8; 4],
}

fn main() {}
