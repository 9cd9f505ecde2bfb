//! Types of all kinds are described, with fields of types that are not.
use simple_sourcing::{
    prelude::*,
    schema::{Registry, TypeRef},
};

pub struct Unknown;

#[derive(Described)]
pub struct Unit;

#[derive(Described)]
pub struct Tuple(u8, Vec<Unknown>, Option<Box<Tuple>>);

#[derive(Described)]
pub struct Generic<T, U: Clone = u8, const N: usize = 2>
where
    T: Into<String>,
{
    items: [T; N],
    other: U,
    nested: Vec<Option<T>>,
}

#[derive(Described)]
pub enum Never {}

#[derive(Described)]
#[serde(tag = "type")]
pub enum Shape {
    Unit,
    r#Type { r#type: u8, unknown: Unknown },
    #[serde(skip)]
    Skipped(&'static str),
}

fn main() {
    let mut registry = Registry::new();
    assert_eq!(Unit::describe(&mut registry), TypeRef::Named("Unit".into()));
    Tuple::describe(&mut registry);
    Generic::<String>::describe(&mut registry);
    Never::describe(&mut registry);
    Shape::describe(&mut registry);
    let types = registry.into_types();
    assert_eq!(types.keys().collect::<Vec<_>>(), ["Generic<String>", "Never", "Shape", "Tuple", "Unit"]);
    assert_eq!(types["Shape"].fields().next().unwrap().wire_name, "type");
}
