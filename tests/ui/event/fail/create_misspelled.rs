//! A mark that is nearly right is suggested.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[created]
    Opened { owner: String },
}

fn main() {}
