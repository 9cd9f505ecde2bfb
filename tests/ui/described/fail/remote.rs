//! What serde writes for a type of another crate is no description of one's own.
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
