//! What the macros write: tables of constants, in which a type is the function that describes it. Not part of the public
//! interface.
//!
//! The code of the macros knows this module as `__schema`. It names what is more than [`TYPE`], [`variant`] and [`field`] say.

use std::{any::type_name, marker::PhantomData};

pub use super::data::Style;
use super::{
    data::{
        DefaultValue, EnumSchema, Field as FieldSchema, Form, Shape as ShapeSchema, StructSchema,
        Tagging as TaggingSchema, Text, TypeRef, TypeRole, TypeSchema, TypeUse, Variant as VariantSchema, VariantRole,
    },
    registry::{Described, Registry, short_name},
};
pub use crate::model::{CommandRole, EventRole};

/// Describes a type. `Probe::<T>::OF` is one, for every `T`.
pub type Describe = fn(&mut Registry) -> TypeRef;

/// Finds out whether a type is described. Where it is, `Probe::<T>::OF` is the constant of this type, else that of
/// [`Undescribed`], which has to be in scope: Rust prefers what is inherent. So no code has to ask for `T: Described`.
pub struct Probe<T: ?Sized>(PhantomData<T>);

impl<T: Described + ?Sized> Probe<T> {
    /// What the type says of itself.
    pub const OF: Describe = T::describe;
}

/// See [`Probe`].
pub trait Undescribed {
    /// That nothing is known of the type.
    const OF: Describe;
}

impl<T: ?Sized> Undescribed for Probe<T> {
    const OF: Describe = opaque::<T>;
}

/// A type as the source has it.
#[derive(Clone, Copy)]
pub struct TypeOf {
    pub text: &'static str,
    pub of: Describe,
}

/// An enum or a struct.
pub struct Type {
    pub name: &'static str,
    pub wire_name: &'static str,
    pub docs: &'static str,
    pub attributes: &'static [&'static str],
    pub role: Role,
    /// Whether its name is that of several types.
    pub is_generic: bool,
    pub arguments: &'static [TypeOf],
    pub written: How,
    pub read: How,
    pub denies_unknown_fields: bool,
    pub default: IfMissing,
    pub shape: Shape,
}

/// What a type is in a contract.
pub enum Role {
    OfField,
    OfEvents { aggregate: &'static str, key: TypeOf },
    OfCommands { error: TypeOf, client: &'static str },
    OfState,
}

/// How a type is written or read.
pub enum How {
    Declared,
    As(TypeOf),
    ByHand,
}

pub enum Shape {
    Struct { style: Style, fields: &'static [Field], tag: &'static str, is_transparent: bool },
    Enum { tagging: Tagging, variants: &'static [Variant] },
}

pub enum Tagging {
    External,
    Internal(&'static str),
    Adjacent(&'static str, &'static str),
    Untagged,
}

pub enum IfMissing {
    Fails,
    OfType,
    Function(&'static str),
}

/// What a variant of a contract does, and its method.
pub enum Does {
    Nothing,
    AsEvent(EventRole, &'static str),
    AsCommand(CommandRole, &'static str),
}

pub struct Variant {
    pub name: &'static str,
    pub wire_name: &'static str,
    pub read_names: &'static [&'static str],
    pub docs: &'static str,
    pub attributes: &'static [&'static str],
    pub is_compiled: bool,
    pub does: Does,
    pub style: Style,
    pub fields: &'static [Field],
    pub is_written: bool,
    pub is_read: bool,
    pub is_untagged: bool,
    pub is_other: bool,
    pub written_by: &'static str,
    pub read_by: &'static str,
}

pub struct Field {
    pub name: &'static str,
    pub wire_name: &'static str,
    pub read_names: &'static [&'static str],
    pub docs: &'static str,
    pub attributes: &'static [&'static str],
    pub is_compiled: bool,
    pub text: &'static str,
    pub of: Describe,
    pub default: IfMissing,
    pub is_flattened: bool,
    pub is_written: bool,
    pub is_read: bool,
    pub skipped_if: &'static str,
    pub written_by: &'static str,
    pub read_by: &'static str,
}

/// A type without attributes. Where a text of these is empty, there is none, or it is the name.
pub const TYPE: Type = Type {
    name: "",
    wire_name: "",
    docs: "",
    attributes: &[],
    role: Role::OfField,
    is_generic: false,
    arguments: &[],
    written: How::Declared,
    read: How::Declared,
    denies_unknown_fields: false,
    default: IfMissing::Fails,
    shape: Shape::Struct { style: Style::Unit, fields: &[], tag: "", is_transparent: false },
};

/// A variant without fields and attributes.
pub const fn variant(name: &'static str, style: Style) -> Variant {
    Variant {
        name,
        wire_name: "",
        read_names: &[],
        docs: "",
        attributes: &[],
        is_compiled: true,
        does: Does::Nothing,
        style,
        fields: &[],
        is_written: true,
        is_read: true,
        is_untagged: false,
        is_other: false,
        written_by: "",
        read_by: "",
    }
}

/// A field without attributes.
pub const fn field(name: &'static str, text: &'static str, of: Describe) -> Field {
    Field {
        name,
        wire_name: "",
        read_names: &[],
        docs: "",
        attributes: &[],
        is_compiled: true,
        text,
        of,
        default: IfMissing::Fails,
        is_flattened: false,
        is_written: true,
        is_read: true,
        skipped_if: "",
        written_by: "",
        read_by: "",
    }
}

/// Describes the type `T` as its table says.
pub fn describe<T: ?Sized + 'static>(registry: &mut Registry, ty: &'static Type) -> TypeRef {
    let name = if ty.is_generic { short_name::<T>().into() } else { Text::Borrowed(ty.name) };
    registry.named::<T>(name, |registry| ty.resolved(registry))
}

/// A type of which nothing is known. The usual containers are taken off its name, so that what is in them is opaque alone.
pub fn opaque<T: ?Sized>(_: &mut Registry) -> TypeRef {
    opaque_path(type_name::<T>())
}

/// The type of a field that is written or read by a function of the user's own.
pub fn custom<T: ?Sized>(_: &mut Registry) -> TypeRef {
    TypeRef::Opaque(type_name::<T>().into())
}

/// The type of a field that is neither written nor read.
pub fn skipped(_: &mut Registry) -> TypeRef {
    TypeRef::Opaque(Text::default())
}

fn opaque_path(path: &'static str) -> TypeRef {
    let within = |container: &str| path.strip_prefix(container)?.strip_prefix('<')?.strip_suffix('>');
    if let Some(of) = within("core::option::Option") {
        return TypeRef::Optional(Box::new(opaque_path(of)));
    }
    if let Some(of) = within("alloc::vec::Vec").or_else(|| within("alloc::collections::vec_deque::VecDeque")) {
        return TypeRef::List(Box::new(opaque_path(of)));
    }
    let pointers = ["alloc::boxed::Box", "alloc::rc::Rc", "alloc::sync::Arc"];
    pointers.into_iter().find_map(within).map_or(TypeRef::Opaque(path.into()), opaque_path)
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

fn optional(text: &'static str) -> Option<Text> {
    (!text.is_empty()).then_some(Text::Borrowed(text))
}

fn texts(texts: &'static [&'static str]) -> Vec<Text> {
    texts.iter().copied().map(Text::Borrowed).collect()
}

fn names(wire_name: &'static str, read: &'static [&'static str]) -> Vec<Text> {
    if read.is_empty() { vec![wire_name.into()] } else { texts(read) }
}

impl TypeOf {
    fn resolved(self, registry: &mut Registry) -> TypeUse {
        TypeUse { text: self.text.into(), ty: (self.of)(registry) }
    }
}

impl Type {
    fn resolved(&'static self, registry: &mut Registry) -> TypeSchema {
        let role = match &self.role {
            Role::OfField => None,
            Role::OfEvents { aggregate, key } => {
                Some(TypeRole::EventType { aggregate: Text::Borrowed(aggregate), key: key.resolved(registry) })
            }
            Role::OfCommands { error, client } => {
                Some(TypeRole::CommandType { error: error.resolved(registry), client: Text::Borrowed(client) })
            }
            Role::OfState => Some(TypeRole::StateType),
        };
        let arguments = self.arguments.iter().map(|argument| argument.resolved(registry)).collect();
        TypeSchema {
            wire_name: or(self.wire_name, self.name).into(),
            docs: self.docs.into(),
            attributes: texts(self.attributes),
            role,
            arguments,
            written: self.written.resolved(registry),
            read: self.read.resolved(registry),
            denies_unknown_fields: self.denies_unknown_fields,
            default: self.default.resolved(),
            ..TypeSchema::new(self.name, self.shape.resolved(registry))
        }
    }
}

impl How {
    fn resolved(&self, registry: &mut Registry) -> Form {
        match self {
            How::Declared => Form::Declared,
            How::As(ty) => Form::As(ty.resolved(registry)),
            How::ByHand => Form::ByHand,
        }
    }
}

impl IfMissing {
    fn resolved(&self) -> DefaultValue {
        match self {
            IfMissing::Fails => DefaultValue::NoDefault,
            IfMissing::OfType => DefaultValue::OfType,
            IfMissing::Function(path) => DefaultValue::Function(Text::Borrowed(path)),
        }
    }
}

impl Shape {
    fn resolved(&'static self, registry: &mut Registry) -> ShapeSchema {
        match self {
            Shape::Struct { style, fields, tag, is_transparent } => {
                let fields = fields.iter().map(|field| field.resolved(registry)).collect();
                let (tag, is_transparent) = (optional(tag), *is_transparent);
                ShapeSchema::Struct(StructSchema { tag, is_transparent, ..StructSchema::new(*style, fields) })
            }
            Shape::Enum { tagging, variants } => {
                let tagging = match *tagging {
                    Tagging::External => TaggingSchema::External,
                    Tagging::Internal(tag) => TaggingSchema::Internal { tag: tag.into() },
                    Tagging::Adjacent(tag, content) => {
                        TaggingSchema::Adjacent { tag: tag.into(), content: content.into() }
                    }
                    Tagging::Untagged => TaggingSchema::Untagged,
                };
                let variants = variants.iter().map(|variant| variant.resolved(registry)).collect();
                ShapeSchema::Enum(EnumSchema::new(tagging, variants))
            }
        }
    }
}

impl Variant {
    fn resolved(&'static self, registry: &mut Registry) -> VariantSchema {
        let role = match self.does {
            Does::Nothing => None,
            Does::AsEvent(role, method) => Some(VariantRole::OfEvent { role, method: method.into() }),
            Does::AsCommand(role, method) => Some(VariantRole::OfCommand { role, method: method.into() }),
        };
        let wire_name = or(self.wire_name, self.name);
        let fields = self.fields.iter().map(|field| field.resolved(registry)).collect();
        VariantSchema {
            wire_name: wire_name.into(),
            read_names: names(wire_name, self.read_names),
            docs: self.docs.into(),
            attributes: texts(self.attributes),
            is_compiled: self.is_compiled,
            role,
            is_written: self.is_written,
            is_read: self.is_read,
            is_untagged: self.is_untagged,
            is_other: self.is_other,
            written_by: optional(self.written_by),
            read_by: optional(self.read_by),
            ..VariantSchema::new(self.name, self.style, fields)
        }
    }
}

impl Field {
    fn resolved(&'static self, registry: &mut Registry) -> FieldSchema {
        let wire_name = or(self.wire_name, self.name);
        FieldSchema {
            wire_name: wire_name.into(),
            read_names: names(wire_name, self.read_names),
            docs: self.docs.into(),
            attributes: texts(self.attributes),
            is_compiled: self.is_compiled,
            default: self.default.resolved(),
            is_flattened: self.is_flattened,
            is_written: self.is_written,
            is_read: self.is_read,
            skipped_if: optional(self.skipped_if),
            written_by: optional(self.written_by),
            read_by: optional(self.read_by),
            ..FieldSchema::new(self.name, self.text, (self.of)(registry))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unknown;

    #[test]
    fn what_is_described_is_found_and_the_rest_is_opaque() {
        let registry = &mut Registry::new();
        assert_eq!(Probe::<Option<bool>>::OF(registry), TypeRef::Optional(Box::new(TypeRef::Bool)));
        assert_eq!(Probe::<Unknown>::OF(registry), TypeRef::Opaque(type_name::<Unknown>().into()));
        let TypeRef::Optional(list) = Probe::<Option<Box<Vec<Unknown>>>>::OF(registry) else {
            panic!("the containers are known")
        };
        assert_eq!(*list, TypeRef::List(Box::new(TypeRef::Opaque(type_name::<Unknown>().into()))));
    }
}
