//! The name of a field is not a value.
use simple_sourcing::prelude::*;

#[derive(Deserialize, Described)]
#[serde(field_identifier)]
pub enum Name {
    First,
    Second,
}

fn main() {}
