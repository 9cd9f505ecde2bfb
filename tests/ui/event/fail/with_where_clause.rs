//! Events have no where clause.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent
where
    String: Clone,
 {
    #[create]
    Opened,
}

fn main() {}
