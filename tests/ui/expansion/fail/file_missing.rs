//! The file is there.
pub const CODE: &str = simple_sourcing_derive::expansion!("src/no_such_file.rs", AccountEvent);

fn main() {}
