//! Two fields can't share a wire name.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        owner: String,
        #[serde(alias = "owner")]
        holder: String,
    },
}

fn main() {}
