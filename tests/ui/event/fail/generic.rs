//! Events have no type parameters.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent<T> {
    #[create]
    Opened { owner: T },
}

fn main() {}
