//! Two fields do not have one name on the wire.
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
