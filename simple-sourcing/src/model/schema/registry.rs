use std::{
    any::{TypeId, type_name},
    collections::{BTreeMap, HashMap},
};

use super::data::{Text, TypeRef, TypeSchema};

/// A type that can say what it looks like on the wire.
///
/// `#[event]`, `#[command]` and `#[aggregate]` implement it. Put `#[derive(Described)]` on the types of their fields. It takes
/// the type to be written by serde's derives; for one with a `Serialize` of your own, implement it:
///
/// ```
/// use simple_sourcing::{Described, schema::{Registry, TypeRef}};
///
/// /// Written as a text: "12.50".
/// pub struct Decimal(i64);
///
/// impl Described for Decimal {
///     fn describe(registry: &mut Registry) -> TypeRef {
///         String::describe(registry)
///     }
/// }
/// ```
///
/// It is implemented for what serde implements of the standard library, for the values of this crate, for `Uuid` and
/// `serde_json::Value`, and with the features `chrono` and `time` for the types of these crates.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not described",
    note = "put `#[derive(Described)]` on it, or implement `Described`"
)]
pub trait Described: 'static {
    /// What the type is. An enum or a struct is put into the registry and referred to by name.
    fn describe(registry: &mut Registry) -> TypeRef;
}

/// The types that were described so far. A type is described once, also where it contains itself.
#[derive(Default)]
pub struct Registry {
    names: HashMap<TypeId, Text>,
    /// None for a type that is being described.
    types: BTreeMap<Text, Option<TypeSchema>>,
}

impl Registry {
    /// No types.
    pub fn new() -> Self {
        Self::default()
    }

    /// Describes `T` under a name, unless it is described already or being described.
    ///
    /// Another type may have the name: then this one is called by its path.
    ///
    /// ```
    /// use simple_sourcing::{Described, schema::{Field, Registry, Shape, StructSchema, Style, TypeRef, TypeSchema}};
    ///
    /// /// Written as `{"parent": null}`.
    /// pub struct Node(Option<Box<Node>>);
    ///
    /// impl Described for Node {
    ///     fn describe(registry: &mut Registry) -> TypeRef {
    ///         registry.named::<Self>("Node", |registry| {
    ///             let parent = Field::new("parent", "Option<Box<Node>>", Option::<Box<Node>>::describe(registry));
    ///             TypeSchema::new("Node", Shape::Struct(StructSchema::new(Style::Named, vec![parent])))
    ///         })
    ///     }
    /// }
    ///
    /// assert_eq!(Node::describe(&mut Registry::new()), TypeRef::Named("Node".into()));
    /// ```
    pub fn named<T: ?Sized + 'static>(
        &mut self,
        name: impl Into<Text>,
        describe: impl FnOnce(&mut Registry) -> TypeSchema,
    ) -> TypeRef {
        let id = TypeId::of::<T>();
        if let Some(name) = self.names.get(&id) {
            return TypeRef::Named(name.clone());
        }
        let name = self.free_name(name.into(), type_name::<T>());
        self.names.insert(id, name.clone());
        self.types.insert(name.clone(), None);
        let path = Text::Borrowed(type_name::<T>());
        let schema = TypeSchema { path, ..describe(self) };
        self.types.insert(name.clone(), Some(schema));
        TypeRef::Named(name)
    }

    /// The types, by name.
    pub fn into_types(self) -> BTreeMap<Text, TypeSchema> {
        self.types.into_iter().filter_map(|(name, schema)| Some((name, schema?))).collect()
    }

    fn free_name(&self, name: Text, path: &'static str) -> Text {
        if !self.types.contains_key(&name) {
            return name;
        }
        // Two types in blocks of one function have one path.
        let numbered = (2..).map(|number| Text::Owned(format!("{path}#{number}")));
        let mut names = std::iter::once(Text::Borrowed(path)).chain(numbered);
        names.find(|name| !self.types.contains_key(name)).unwrap_or(name)
    }
}

/// The name of a type without paths: `Page<Line>`.
pub(super) fn short_name<T: ?Sized>() -> String {
    short(type_name::<T>())
}

/// `bank::Page<bank::Line>` as `Page<Line>`.
fn short(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once("::") {
        let start = before.rfind(|letter: char| !letter.is_alphanumeric() && !"_{}".contains(letter));
        let kept = start.map_or(0, |start| start + before[start..].chars().next().map_or(0, char::len_utf8));
        out.push_str(&before[..kept]);
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::data::{Shape, StructSchema, Style};

    fn described<T: 'static>(registry: &mut Registry) -> TypeRef {
        registry.named::<T>("A", |_| TypeSchema::new("A", Shape::Struct(StructSchema::new(Style::Unit, Vec::new()))))
    }

    #[test]
    fn types_of_one_name_are_told_apart() {
        let mut registry = Registry::new();
        let first = {
            struct A;
            (described::<A>(&mut registry), described::<A>(&mut registry))
        };
        assert_eq!(first, (TypeRef::Named("A".into()), TypeRef::Named("A".into())));
        let TypeRef::Named(second) = ({
            struct A;
            described::<A>(&mut registry)
        }) else {
            panic!("it has a name")
        };
        assert!(second.ends_with("::types_of_one_name_are_told_apart::A"), "{second}");
        let third = {
            struct A;
            described::<A>(&mut registry)
        };
        assert_eq!(third, TypeRef::Named(format!("{second}#2").into()));
        assert_eq!(registry.into_types().len(), 3);
    }

    #[test]
    fn names_lose_their_paths() {
        assert_eq!(short("bank::Page<bank::lines::Line>"), "Page<Line>");
        assert_eq!(short("a::Pair<(a::B, alloc::vec::Vec<u8>), 4>"), "Pair<(B, Vec<u8>), 4>");
        assert_eq!(short("a::f::{{closure}}::A<u8>"), "A<u8>");
        assert_eq!(short("u8"), "u8");
    }
}
