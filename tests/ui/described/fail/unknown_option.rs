//! `#[described]` takes only options that it knows.
use simple_sourcing::prelude::*;

#[derive(Described)]
#[described(krate = "simple_sourcing")]
pub struct Money(u64);

fn main() {}
