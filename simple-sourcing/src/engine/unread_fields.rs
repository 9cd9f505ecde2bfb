//! A command that was given as JSON: whether it is read at all, and whether all of it is.
//!
//! Serde ignores fields that it does not know, so a mistyped name would silently leave a field at its default. What is read is
//! known of described types. Of others, a field that is not in the command as it is written is replaced by nonsense: if that
//! makes no difference, nobody reads it.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::typed::guard;
use crate::model::{
    Command,
    schema::{EnumSchema, Field, Form, Schema, Shape, StructSchema, Style, Tagging, TypeRef, Variant},
};

/// How deep newtypes and options are looked into. A type may contain itself.
const NEWTYPES_NESTED_MAX: usize = 16;

/// How many fields are tried out. Each costs the time to read the command.
const FIELDS_TRIED_MAX: usize = 100;

/// A command as serde has it.
pub(super) struct Given<'a> {
    whole: Value,
    variant: &'a Variant,
    /// The field with the name of the command, if it stands among the others.
    tag: Option<&'a str>,
    /// The field in which the others are, if they are in one.
    content: Option<&'a str>,
}

impl<'a> Given<'a> {
    /// The command of this variant.
    ///
    /// # Errors
    /// When these can't be its fields.
    pub(super) fn new(tagging: &'a Tagging, variant: &'a Variant, fields: Value) -> Result<Self, String> {
        let name = &*variant.wire_name;
        // Nobody should have to know how serde writes that there is nothing.
        let fields = match (variant.style, fields) {
            (Style::Unit, Value::Object(fields)) if fields.is_empty() => Value::Null,
            (Style::Unit, Value::Null) => Value::Null,
            (Style::Unit, _) => return Err(format!("`{name}` has no fields; give it none, or `null`")),
            (Style::Named, Value::Null) => Value::Object(Map::new()),
            (_, fields) => fields,
        };
        let is_unit = variant.style == Style::Unit;
        let (tag, content) = match tagging {
            Tagging::External => (None, Some(name)),
            Tagging::Adjacent { tag, content } => (Some(&**tag), Some(&**content)),
            Tagging::Internal { tag } => (Some(&**tag), None),
            // The macro refuses it.
            Tagging::Untagged => return Err(format!("`{name}` is written without its name")),
        };
        let mut whole = match (content, fields) {
            (Some(name), _) if is_unit && tag.is_none() => {
                return Ok(Given { whole: Value::from(name), variant, tag, content });
            }
            (Some(_), _) if is_unit => Map::new(),
            (Some(content), fields) => Map::from_iter([(content.to_owned(), fields)]),
            (None, Value::Null) => Map::new(),
            (None, Value::Object(fields)) => fields,
            (None, _) => return Err(format!("the fields of `{name}` must be an object")),
        };
        if let Some(tag) = tag
            && whole.insert(tag.to_owned(), Value::from(name)).is_some()
        {
            return Err(format!("`{name}` has no field `{tag}`: the name of the command is written there"));
        }
        Ok(Given { whole: Value::Object(whole), variant, tag, content })
    }

    /// Reads it.
    ///
    /// # Errors
    /// Which field can't be read, and what was expected there.
    pub(super) fn decode<C: Command>(&self) -> Result<C, String> {
        read(&self.whole).map_err(|Unread { place, reason }| {
            let name = &self.variant.wire_name;
            let field = match self.content {
                Some(content) => place.strip_prefix(content).map(|field| field.trim_start_matches('.').to_owned()),
                None => Some(place),
            };
            let field = field.filter(|field| !field.is_empty()).or_else(|| self.culprit::<C>(&reason));
            match field {
                Some(field) => format!("`{name}.{field}`: {reason}"),
                None => format!("`{name}`: {reason}"),
            }
        })
    }

    /// Where serde reads all fields before it looks at them, it does not say which it can't read: it is the one without which
    /// the command fails for another reason or not at all.
    fn culprit<C: Command>(&self, reason: &str) -> Option<String> {
        if reason.starts_with("missing field") {
            return None;
        }
        let mut place = Place { names: Vec::new(), pointer: String::new() };
        if let Some(content) = self.content {
            place.enter(content);
            place.names.pop();
        }
        while let Some(Value::Object(fields)) = self.whole.pointer(&place.pointer) {
            let is_it = |field: &&String| {
                let mut whole = self.whole.clone();
                if let Some(Value::Object(fields)) = whole.pointer_mut(&place.pointer) {
                    fields.remove(field.as_str());
                }
                read::<C>(&whole).err().is_none_or(|without| without.reason != reason)
            };
            let is_tag = |field: &str| place.pointer.is_empty() && self.tag == Some(field);
            let mut tried = fields.keys().filter(|field| !is_tag(field)).take(FIELDS_TRIED_MAX);
            let Some(field) = tried.find(is_it) else { break };
            place.enter(field);
        }
        Some(place.names.join(".")).filter(|names| !names.is_empty())
    }

    /// Whether each field is read.
    ///
    /// # Errors
    /// Which is not, and which fields there are.
    pub(super) fn check<C: Command>(&self, command: &C, schema: &Schema) -> Result<(), String> {
        // What can't be written as JSON is tried out.
        let written = serde_json::to_value(command).ok();
        let Some(fields) = self.fields(&self.whole) else { return Ok(()) };
        let reads_the_same = |whole: &Value| read::<C>(whole).is_ok_and(|read| read == *command);
        let tag = self.tag.filter(|_| self.content.is_none());
        let mut check = Check { whole: &self.whole, tag, reads_the_same: &reads_the_same, schema, tried: 0 };
        let mut place = Place { names: vec![self.variant.wire_name.to_string()], pointer: String::new() };
        if let Some(content) = self.content {
            place.enter(content);
            place.names.pop();
        }
        let known = Known::of_variant(self.variant);
        check.value(&mut place, fields, written.as_ref().and_then(|written| self.fields(written)), known)
    }

    /// The fields of a whole command.
    fn fields<'v>(&self, whole: &'v Value) -> Option<&'v Value> {
        match self.content {
            Some(content) => whole.get(content),
            None => Some(whole),
        }
    }
}

/// Why a command can't be read, and where; the place may be empty.
struct Unread {
    place: String,
    reason: String,
}

fn read<C: Command>(whole: &Value) -> Result<C, Unread> {
    let mut place = String::new();
    let read = guard(|| {
        serde_path_to_error::deserialize(whole).map_err(|error: serde_path_to_error::Error<serde_json::Error>| {
            if error.path().iter().next().is_some() {
                place = error.path().to_string();
            }
            error.into_inner().to_string()
        })
    });
    read.map_err(|reason| Unread { place, reason })
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The names, for a message.
pub(super) fn listed(names: impl IntoIterator<Item: Display>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

struct Check<'a> {
    whole: &'a Value,
    /// The field with the name of the command, if it stands among the others.
    tag: Option<&'a str>,
    /// Whether another form is read as the same command.
    reads_the_same: &'a dyn Fn(&Value) -> bool,
    schema: &'a Schema,
    tried: usize,
}

/// Where a value is: for people, and as a JSON pointer.
struct Place {
    names: Vec<String>,
    pointer: String,
}

impl Place {
    fn enter(&mut self, name: &str) {
        self.names.push(name.to_owned());
        self.pointer = format!("{}/{}", self.pointer, escaped(name));
    }

    fn leave(&mut self) {
        self.names.pop();
        self.pointer.truncate(self.pointer.rfind('/').unwrap_or_default());
    }
}

/// What is known of how a value is read.
#[derive(Clone, Copy)]
enum Known<'a> {
    Nothing,
    Type(&'a TypeRef),
    Fields(&'a [Field]),
    List(&'a [Field]),
    Variants(&'a [Variant]),
}

impl<'a> Known<'a> {
    fn of(style: Style, fields: &'a [Field]) -> Self {
        match (style, fields) {
            (Style::Named, fields) => Known::Fields(fields),
            (Style::Tuple, fields) => Known::List(fields),
            (Style::Newtype, [field]) => Known::Type(&field.ty.ty),
            _ => Known::Nothing,
        }
    }

    fn of_variant(variant: &'a Variant) -> Self {
        if variant.read_by.is_some() || variant.is_untagged {
            Known::Nothing
        } else {
            Known::of(variant.style, &variant.fields)
        }
    }

    /// What is known of the type that a name stands for.
    fn resolved(self, schema: &'a Schema) -> Self {
        let mut known = self;
        for _ in 0..NEWTYPES_NESTED_MAX {
            let Known::Type(ty) = known else { return known };
            known = match ty {
                TypeRef::Optional(of) => Known::Type(of),
                TypeRef::Named(_) => match schema.get(ty) {
                    Some(ty) if ty.read == Form::Declared => match &ty.shape {
                        Shape::Struct(StructSchema { style, fields, is_transparent: false, tag: None }) => {
                            Known::of(*style, fields)
                        }
                        Shape::Enum(EnumSchema { tagging: Tagging::External, variants }) => Known::Variants(variants),
                        _ => Known::Nothing,
                    },
                    _ => Known::Nothing,
                },
                _ => return known,
            };
        }
        Known::Nothing
    }

    /// How the value of this key is written and read; none if it is not known that it is.
    fn field(self, key: &'a str, schema: &'a Schema) -> Option<(&'a str, Known<'a>)> {
        match self.resolved(schema) {
            Known::Fields(fields) => {
                let mut fields = fields.iter().filter(|field| field.is_compiled && field.is_read);
                fields.find_map(|field| {
                    let known = Known::Type(&field.ty.ty);
                    if field.is_flattened {
                        // A map takes whatever is left, but may leave some of it to others; so it is not asked.
                        return if matches!(known.resolved(schema), Known::Type(_)) {
                            None
                        } else {
                            known.field(key, schema)
                        };
                    }
                    field.read_names.iter().any(|name| name == key).then_some((&*field.wire_name, known))
                })
            }
            Known::Variants(variants) => {
                let mut variants = variants.iter().filter(|variant| variant.is_compiled && variant.is_read);
                let variant = variants.find(|variant| variant.read_names.iter().any(|name| name == key))?;
                Some((&*variant.wire_name, Known::of_variant(variant)))
            }
            Known::Type(TypeRef::Mapping(_, value)) => Some((key, Known::Type(value))),
            _ => None,
        }
    }

    /// What is known of this element of a list.
    fn element(self, place: usize, schema: &'a Schema) -> Self {
        match self.resolved(schema) {
            Known::List(fields) => fields.get(place).map_or(Known::Nothing, |field| Known::Type(&field.ty.ty)),
            Known::Type(TypeRef::List(of) | TypeRef::Set(of) | TypeRef::Array(of, _)) => Known::Type(of),
            Known::Type(TypeRef::Tuple(of)) => of.get(place).map_or(Known::Nothing, Known::Type),
            _ => Known::Nothing,
        }
    }

    /// The names that are read, if all are known.
    fn names(self, schema: &'a Schema) -> Option<Vec<&'a str>> {
        let Known::Fields(fields) = self.resolved(schema) else { return None };
        let fields = fields.iter().filter(|field| field.is_compiled && field.is_read);
        fields.map(|field| (!field.is_flattened).then_some(&*field.wire_name)).collect()
    }
}

impl<'a> Check<'a> {
    fn value(
        &mut self,
        place: &mut Place,
        given: &'a Value,
        written: Option<&Value>,
        known: Known<'a>,
    ) -> Result<(), String> {
        match given {
            Value::Object(fields) => self.fields(place, fields, written, known),
            Value::Array(values) => values.iter().enumerate().try_for_each(|(index, value)| {
                place.enter(&index.to_string());
                self.value(
                    place,
                    value,
                    written.and_then(|written| written.get(index)),
                    known.element(index, self.schema),
                )?;
                place.leave();
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn fields(
        &mut self,
        place: &mut Place,
        fields: &'a Map<String, Value>,
        written: Option<&Value>,
        known: Known<'a>,
    ) -> Result<(), String> {
        for (key, value) in fields {
            if place.pointer.is_empty() && self.tag == Some(key) {
                continue;
            }
            let found = known.field(key, self.schema);
            let (name, of_field) = found.unwrap_or((key, Known::Nothing));
            let written = written.and_then(|written| written.get(name));
            let of = place.names.join(".");
            place.enter(key);
            if found.is_none() && written.is_none() && self.is_ignored(place)? {
                let fields = known.names(self.schema).map(|names| format!("; its fields are {}", listed(names)));
                return Err(format!("`{of}` has no field `{key}`{}", fields.unwrap_or_default()));
            }
            self.value(place, value, written, of_field)?;
            place.leave();
        }
        Ok(())
    }

    /// Whether it makes no difference what is there.
    fn is_ignored(&mut self, place: &Place) -> Result<bool, String> {
        self.tried += 1;
        if self.tried > FIELDS_TRIED_MAX {
            return Err(format!(
                "it has more than {FIELDS_TRIED_MAX} fields like `{}`, of which it is not known whether they are read; \
                 leave out those that are `null` or have their defaults, or derive `Described` for their types",
                place.names.join(".")
            ));
        }
        // No type reads both as what was there before.
        let nonsense = [Value::from("\0"), Value::from_iter([("\0", Value::Null)])];
        Ok(nonsense.into_iter().all(|nonsense| {
            let mut whole = self.whole.clone();
            whole.pointer_mut(&place.pointer).is_some_and(|value| {
                *value = nonsense;
                true
            }) && (self.reads_the_same)(&whole)
        }))
    }
}
