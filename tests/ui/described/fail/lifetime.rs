//! A type that is described has no lifetimes.
use simple_sourcing::prelude::*;

#[derive(Described)]
pub struct Name<'a>(&'a str);

fn main() {}
