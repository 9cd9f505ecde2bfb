// errors: 4, because four derives are missing; the compiler reports each, with a fix
//! A key has the traits of a key.
use simple_sourcing::prelude::*;

#[derive(Key)]
pub struct OrderNumber(u64);

fn main() {}
