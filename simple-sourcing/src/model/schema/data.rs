//! Types as data. Nothing here knows where the data comes from.
//!
//! No name is one of the prelude or of a trait of this crate, not even that of a variant: the compiler would write these with
//! their paths in all messages to users.

use std::borrow::Cow;

use crate::model::{CommandRole, EventRole};

/// A text of a schema. What the macros write is borrowed from the program.
pub type Text = Cow<'static, str>;

/// A type that is referred to by name: an enum or a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypeSchema {
    /// The name in the source, without its path.
    pub name: Text,
    /// The name that serde gives the type. It is written only as the tag of a struct, see [`StructSchema::tag`].
    pub wire_name: Text,
    /// The name with its path, as [`std::any::type_name`] gives it: to be shown, because it may change with the compiler.
    pub path: Text,
    /// The documentation, trimmed.
    pub docs: Text,
    /// Attributes that may change how the type is written and are more than a name, as they stand in the source: conditions,
    /// and words of serde. What of them is understood is in the other fields, too.
    pub attributes: Vec<Text>,
    /// What the type is in a contract. `None` for the type of a field.
    pub role: Option<TypeRole>,
    /// The type arguments of a generic type.
    pub arguments: Vec<TypeUse>,
    /// How it is written.
    pub written: Form,
    /// How it is read.
    pub read: Form,
    /// `#[serde(deny_unknown_fields)]`: it can't be read where it has a field that is not known.
    pub denies_unknown_fields: bool,
    /// `#[serde(default)]` on the type: where the value of a missing field comes from.
    pub default: DefaultValue,
    /// What is in it.
    pub shape: Shape,
}

impl TypeSchema {
    /// A type that is written as its declaration says. The other fields can be set afterwards.
    pub fn new(name: impl Into<Text>, shape: Shape) -> Self {
        let name = name.into();
        TypeSchema {
            wire_name: name.clone(),
            path: name.clone(),
            name,
            docs: Text::default(),
            attributes: Vec::new(),
            role: None,
            arguments: Vec::new(),
            written: Form::Declared,
            read: Form::Declared,
            denies_unknown_fields: false,
            default: DefaultValue::NoDefault,
            shape,
        }
    }

    /// The fields of a struct, or of all variants of an enum, in the order of the source.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        let (own, variants) = match &self.shape {
            Shape::Struct(of) => (of.fields.as_slice(), [].as_slice()),
            Shape::Enum(of) => ([].as_slice(), of.variants.as_slice()),
        };
        own.iter().chain(variants.iter().flat_map(|variant| &variant.fields))
    }
}

/// What a type is in a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeRole {
    /// The events: `#[event]`.
    EventType {
        /// The name of the aggregate on the wire.
        aggregate: Text,
        /// The type of the key. On the wire it is a text, see [`Key`](crate::Key).
        key: TypeUse,
    },
    /// The commands: `#[command]`.
    CommandType {
        /// The type of the error.
        error: TypeUse,
        /// The name of the generated client.
        client: Text,
    },
    /// The state: `#[aggregate]`.
    StateType,
}

/// A type where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeUse {
    /// As the source has it, e.g. `Option<Money>`.
    pub text: Text,
    /// What it is.
    pub ty: TypeRef,
}

/// What a type is: a value, a container, or the name of a type in [`Schema::types`](super::Schema::types).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeRef {
    /// `bool`.
    Bool,
    /// An integer.
    Integer {
        /// The number of bits: 8, 16, 32, 64 or 128. That of `usize` and `isize` is 64.
        bits: u8,
        /// Whether it may be negative.
        is_signed: bool,
    },
    /// A floating-point number.
    Float {
        /// The number of bits: 32 or 64.
        bits: u8,
    },
    /// `char`: a text of one character.
    Char,
    /// A text.
    Text(TextFormat),
    /// `()`: in JSON, `null`.
    Unit,
    /// A value or none: in JSON, `null`. A field of this type may be missing when it is read.
    Optional(Box<TypeRef>),
    /// Values in order.
    List(Box<TypeRef>),
    /// Values of which no two are equal, written as a list.
    Set(Box<TypeRef>),
    /// As many values in order, written as a list.
    Array(Box<TypeRef>, usize),
    /// A list with a type for each place.
    Tuple(Vec<TypeRef>),
    /// Keys and values. In JSON the keys are texts, also those that are numbers.
    Mapping(Box<TypeRef>, Box<TypeRef>),
    /// A type in [`Schema::types`](super::Schema::types).
    Named(Text),
    /// Any JSON value.
    Any,
    /// A type of which nothing is known but its path: it is not [`Described`](super::Described), or it is written by a
    /// function of the user's own.
    Opaque(Text),
}

/// What a text is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TextFormat {
    /// Any text.
    Any,
    /// A UUID with hyphens.
    Uuid,
    /// A date and time with an offset, RFC 3339: `2026-01-31T23:59:59Z`.
    DateTime,
    /// A date and time without an offset: `2026-01-31T23:59:59`.
    LocalDateTime,
    /// A date: `2026-01-31`.
    Date,
    /// A time of the day: `23:59:59`.
    Time,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An address of either kind.
    Ip,
    /// An address and a port.
    SocketAddress,
    /// The path of a file.
    FilePath,
}

/// How a type is written, or read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// As its declaration and the attributes of serde say.
    Declared,
    /// As another type: `#[serde(into = "...")]`, `from`, `try_from`.
    As(TypeUse),
    /// By an implementation of the user's own: `manual(Serialize)`, `manual(Deserialize)`.
    ByHand,
}

/// What is in a type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// A struct.
    Struct(StructSchema),
    /// An enum.
    Enum(EnumSchema),
}

/// What is in a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StructSchema {
    /// Which kind of struct.
    pub style: Style,
    /// The fields in the order of the source.
    pub fields: Vec<Field>,
    /// `#[serde(tag = "...")]`: a field of this name is written that holds [`TypeSchema::wire_name`].
    pub tag: Option<Text>,
    /// `#[serde(transparent)]`: it is written as the only field that is not skipped.
    pub is_transparent: bool,
}

impl StructSchema {
    /// A struct that is written as it is declared.
    pub fn new(style: Style, fields: Vec<Field>) -> Self {
        StructSchema { style, fields, tag: None, is_transparent: false }
    }
}

/// What is in an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnumSchema {
    /// Where the name of the variant is written.
    pub tagging: Tagging,
    /// The variants in the order of the source.
    pub variants: Vec<Variant>,
}

impl EnumSchema {
    /// An enum.
    pub fn new(tagging: Tagging, variants: Vec<Variant>) -> Self {
        EnumSchema { tagging, variants }
    }
}

/// Where serde writes the name of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tagging {
    /// Around what is in it: `{"Opened": {"owner": "Ada"}}`; a variant without fields is a text, `"Closed"`.
    External,
    /// Beside the fields: `{"type": "Opened", "owner": "Ada"}`.
    Internal {
        /// `#[serde(tag = "...")]`.
        tag: Text,
    },
    /// Beside what is in it: `{"type": "Opened", "content": {"owner": "Ada"}}`.
    Adjacent {
        /// `#[serde(tag = "...")]`.
        tag: Text,
        /// `#[serde(content = "...")]`.
        content: Text,
    },
    /// Nowhere: `{"owner": "Ada"}`.
    Untagged,
}

/// How the fields of a struct or a variant are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// `A { b: B }`: a map.
    Named,
    /// `A(B, C)`, also `A()`: a list.
    Tuple,
    /// `A(B)`: as the only field.
    Newtype,
    /// `A`: without content. As a struct, `null` in JSON.
    Unit,
}

/// A variant of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variant {
    /// The name in the source.
    pub name: Text,
    /// The name that is written.
    pub wire_name: Text,
    /// The names under which it is read: the one that is written, then the aliases.
    pub read_names: Vec<Text>,
    /// The documentation, trimmed.
    pub docs: Text,
    /// See [`TypeSchema::attributes`].
    pub attributes: Vec<Text>,
    /// Whether it is part of this program: a `#[cfg]` may leave it out.
    pub is_compiled: bool,
    /// What an event or a command does, `None` in other enums.
    pub role: Option<VariantRole>,
    /// How its fields are written.
    pub style: Style,
    /// The fields in the order of the source.
    pub fields: Vec<Field>,
    /// Whether it can be written. See `#[serde(skip_serializing)]`.
    pub is_written: bool,
    /// Whether it can be read. See `#[serde(skip_deserializing)]`.
    pub is_read: bool,
    /// `#[serde(untagged)]`: it is written without its name, whatever holds for the others.
    pub is_untagged: bool,
    /// `#[serde(other)]`: every name that is not known is read as this variant.
    pub is_other: bool,
    /// The function that writes its content, if it is one of the user's own.
    pub written_by: Option<Text>,
    /// The function that reads its content, if it is one of the user's own.
    pub read_by: Option<Text>,
}

impl Variant {
    /// A variant that is written under its own name. The other fields can be set afterwards.
    pub fn new(name: impl Into<Text>, style: Style, fields: Vec<Field>) -> Self {
        let name = name.into();
        Variant {
            wire_name: name.clone(),
            read_names: vec![name.clone()],
            name,
            docs: Text::default(),
            attributes: Vec::new(),
            is_compiled: true,
            role: None,
            style,
            fields,
            is_written: true,
            is_read: true,
            is_untagged: false,
            is_other: false,
            written_by: None,
            read_by: None,
        }
    }
}

/// What a variant of a contract does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VariantRole {
    /// An event.
    OfEvent {
        /// What it does to the state.
        role: EventRole,
        /// The method of appliers and projectors.
        method: Text,
    },
    /// A command.
    OfCommand {
        /// What it expects to find.
        role: CommandRole,
        /// The method of the client and of handlers.
        method: Text,
    },
}

/// A field of a struct or a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// The name in the source. A field without one is called by its place: `0`.
    pub name: Text,
    /// The name that is written. A field without a name in the source has none on the wire, either.
    pub wire_name: Text,
    /// The names under which it is read: the one that is written, then the aliases.
    pub read_names: Vec<Text>,
    /// The documentation, trimmed.
    pub docs: Text,
    /// See [`TypeSchema::attributes`].
    pub attributes: Vec<Text>,
    /// Whether it is part of this program: a `#[cfg]` may leave it out.
    pub is_compiled: bool,
    /// The type. It is [`TypeRef::Opaque`] where a function of the user's own writes or reads the field.
    pub ty: TypeUse,
    /// What the value is where the field is missing: `#[serde(default)]`. See also [`is_optional`](Self::is_optional).
    pub default: DefaultValue,
    /// `#[serde(flatten)]`: its fields stand among those beside it.
    pub is_flattened: bool,
    /// Whether it is written. See `#[serde(skip)]`, `#[serde(skip_serializing)]`.
    pub is_written: bool,
    /// Whether it is read. See `#[serde(skip)]`, `#[serde(skip_deserializing)]`.
    pub is_read: bool,
    /// `#[serde(skip_serializing_if = "...")]`: the function that says when it is not written.
    pub skipped_if: Option<Text>,
    /// The function that writes it, if it is one of the user's own: `#[serde(with = "...")]`, `serialize_with`.
    pub written_by: Option<Text>,
    /// The function that reads it, if it is one of the user's own: `#[serde(with = "...")]`, `deserialize_with`.
    pub read_by: Option<Text>,
}

impl Field {
    /// A field that is written under its own name. The other fields can be set afterwards.
    pub fn new(name: impl Into<Text>, text: impl Into<Text>, ty: TypeRef) -> Self {
        let name = name.into();
        Field {
            wire_name: name.clone(),
            read_names: vec![name.clone()],
            name,
            docs: Text::default(),
            attributes: Vec::new(),
            is_compiled: true,
            ty: TypeUse { text: text.into(), ty },
            default: DefaultValue::NoDefault,
            is_flattened: false,
            is_written: true,
            is_read: true,
            skipped_if: None,
            written_by: None,
            read_by: None,
        }
    }

    /// Whether the field may be missing in what is read: it has a default, or is an `Option`. The default of the type, see
    /// [`TypeSchema::default`], makes all fields of a struct optional besides.
    pub fn is_optional(&self) -> bool {
        let is_option = matches!(self.ty.ty, TypeRef::Optional(_)) && self.read_by.is_none();
        self.default != DefaultValue::NoDefault || is_option || !self.is_read
    }
}

/// Where the value of a missing field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefaultValue {
    /// From nowhere: it is an error.
    NoDefault,
    /// From `Default`.
    OfType,
    /// From a function.
    Function(Text),
}
