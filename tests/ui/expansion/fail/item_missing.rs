//! The item is in the file.
pub const CODE: &str = simple_sourcing_derive::expansion!("Cargo.toml", AccountEvent);

fn main() {}
