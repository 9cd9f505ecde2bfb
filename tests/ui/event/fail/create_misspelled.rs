//! The helper attribute that was probably meant is suggested.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[created]
    Opened { owner: String },
}

fn main() {}
