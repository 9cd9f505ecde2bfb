//! The arguments of a generic type are described, too.
use simple_sourcing::prelude::*;

#[derive(Described)]
pub struct Page<T> {
    items: Vec<T>,
}

pub struct Line;

fn described<T: Described>() {}

fn main() {
    described::<Page<Line>>();
}
