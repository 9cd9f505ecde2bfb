//! Events have no lifetimes.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent<'a> {
    #[create]
    Opened { owner: &'a str },
}

fn main() {}
