//! What serde generates for a type of another crate does not describe the local type.
use simple_sourcing::prelude::*;

pub struct Foreign {
    pub number: u8,
}

#[derive(Serialize, Deserialize, Described)]
#[serde(remote = "Foreign")]
pub struct Mirror {
    number: u8,
}

fn main() {}
