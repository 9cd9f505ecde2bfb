//! Newtypes of each shape, around each kind of key.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
pub struct Number(u64);

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
#[key(crate = "::simple_sourcing")]
pub struct Name {
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
pub struct Outer(Number);

fn main() {
    assert_eq!(Outer(Number(7)).to_text(), "7");
    assert_eq!(Outer::from_text("7"), Ok(Outer(Number(7))));
    assert!(Outer::from_text("07").is_err());
    assert_eq!(Name { text: "a".into() }.to_text(), "a");
}
