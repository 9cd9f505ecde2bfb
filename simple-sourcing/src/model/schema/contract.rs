use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use super::data::{Field, Form, Shape, Text, TypeRef, TypeRole, TypeSchema, Variant};

/// A contract: events, commands and, where it is known, the state, with all types that they use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schema {
    /// The name of the aggregate on the wire.
    pub aggregate: Text,
    /// The events.
    pub event: TypeRef,
    /// The commands.
    pub command: TypeRef,
    /// The state, unless only the contract is known.
    pub state: Option<TypeRef>,
    /// The types, by the name that a [`TypeRef::Named`] has.
    pub types: BTreeMap<Text, TypeSchema>,
}

/// A type of which nothing is known, and where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpaqueType {
    /// The type with its path.
    pub path: Text,
    /// Where it is used, in words: `Opened.owner of AccountEvent`.
    pub places: Vec<String>,
}

/// `bank::Money: Opened.amount of AccountEvent, Open.amount of AccountCommand`.
impl Display for OpaqueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.places.join(", "))
    }
}

impl Schema {
    pub(crate) fn new(
        aggregate: &'static str,
        event: TypeRef,
        command: TypeRef,
        state: Option<TypeRef>,
        types: BTreeMap<Text, TypeSchema>,
    ) -> Self {
        Schema { aggregate: aggregate.into(), event, command, state, types }
    }

    /// The type to which a reference leads, if it is one that has a name.
    pub fn get(&self, ty: &TypeRef) -> Option<&TypeSchema> {
        match ty {
            TypeRef::Named(name) => self.types.get(name),
            _ => None,
        }
    }

    /// What the schema does not know: types that are not [`Described`](super::Described) or that are written by functions of
    /// the user's own, with the places in which they are used. Sorted by path.
    ///
    /// What is not on the wire is not listed. The key is not, either: it is written as a text, see [`Key`](crate::Key).
    pub fn opaque(&self) -> Vec<OpaqueType> {
        let mut found = BTreeMap::new();
        for (name, ty) in &self.types {
            let mut add = |ty: &TypeRef, place: String| opaque_in(ty, &place, &mut found);
            if let Some(TypeRole::CommandType { error, .. }) = &ty.role {
                add(&error.ty, format!("the error of {name}"));
            }
            for (form, what) in [(&ty.written, "writes"), (&ty.read, "reads")] {
                match form {
                    Form::Declared => {}
                    Form::As(other) => add(&other.ty, format!("what serde {what} as {name}")),
                    Form::ByHand => add(&TypeRef::Opaque(ty.path.clone()), format!("what {what} {name} by hand")),
                }
            }
            if ty.written != Form::Declared && ty.read != Form::Declared {
                continue;
            }
            match &ty.shape {
                Shape::Struct(of) => of_fields(&of.fields, "", name, &mut add),
                Shape::Enum(of) => {
                    let on_wire = |variant: &&Variant| variant.is_compiled && (variant.is_written || variant.is_read);
                    for variant in of.variants.iter().filter(on_wire) {
                        of_fields(&variant.fields, &format!("{}.", variant.name), name, &mut add);
                    }
                }
            }
        }
        found.into_iter().map(|(path, places)| OpaqueType { path, places }).collect()
    }
}

fn of_fields(fields: &[Field], of: &str, name: &str, add: &mut impl FnMut(&TypeRef, String)) {
    for field in fields.iter().filter(|field| field.is_compiled && (field.is_written || field.is_read)) {
        add(&field.ty.ty, format!("{of}{} of {name}", field.name));
    }
}

fn opaque_in(ty: &TypeRef, place: &str, found: &mut BTreeMap<Text, Vec<String>>) {
    match ty {
        TypeRef::Opaque(path) => {
            let places = found.entry(path.clone()).or_default();
            if places.last().is_none_or(|last| last != place) {
                places.push(place.to_owned());
            }
        }
        TypeRef::Optional(of) | TypeRef::List(of) | TypeRef::Set(of) | TypeRef::Array(of, _) => {
            opaque_in(of, place, found);
        }
        TypeRef::Tuple(of) => of.iter().for_each(|ty| opaque_in(ty, place, found)),
        TypeRef::Mapping(key, value) => [key, value].into_iter().for_each(|ty| opaque_in(ty, place, found)),
        TypeRef::Bool
        | TypeRef::Integer { .. }
        | TypeRef::Float { .. }
        | TypeRef::Char
        | TypeRef::Text(_)
        | TypeRef::Unit
        | TypeRef::Named(_)
        | TypeRef::Any => {}
    }
}
