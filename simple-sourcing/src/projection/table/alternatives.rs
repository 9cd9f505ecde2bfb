//! What may stand at a place of an encoded state, as the schema has it: what serde writes for its types.

use crate::model::schema::{
    EnumSchema, Field, Form, Schema, Shape, StructSchema, Style, Tagging, TextFormat, TypeRef, Variant,
};

/// One of the things that may stand at a place.
#[derive(Debug, Clone)]
pub(super) enum Json<'s> {
    Null,
    Boolean,
    Integer {
        fits_i64: bool,
    },
    Real,
    Text(TextFormat),
    /// A list of any length, or of this one.
    Items(Content<'s>, Option<usize>),
    /// A list with a type for each place.
    Places(Vec<Content<'s>>),
    /// An object with any names.
    Values(Content<'s>),
    /// An object with these names; if it is open, with others too.
    Members {
        members: Vec<Member<'s>>,
        is_open: bool,
    },
    /// Nothing is known of it.
    Unknown,
}

/// What an object has under a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'s> {
    pub(super) name: &'s str,
    pub(super) content: Content<'s>,
    /// Whether it is there whenever the object is.
    pub(super) is_always: bool,
}

/// What is looked at when somebody asks for it, because types may contain themselves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'s> {
    Of(&'s TypeRef),
    Fields(Style, &'s [Field]),
    /// The name of a variant or a type.
    Name,
    Unknown,
}

impl<'s> Content<'s> {
    /// All that may stand in its place.
    pub(super) fn alternatives(self, schema: &'s Schema) -> Vec<Json<'s>> {
        Alternatives { schema, looked_at: Vec::new() }.of(self)
    }
}

struct Alternatives<'s> {
    schema: &'s Schema,
    /// The types that are being looked at: what contains itself without a name or a place in between adds nothing.
    looked_at: Vec<&'s str>,
}

impl<'s> Alternatives<'s> {
    fn of(&mut self, content: Content<'s>) -> Vec<Json<'s>> {
        match content {
            Content::Of(ty) => self.of_type(ty),
            Content::Fields(style, fields) => self.of_fields(style, fields),
            Content::Name => vec![Json::Text(TextFormat::Any)],
            Content::Unknown => vec![Json::Unknown],
        }
    }

    fn of_type(&mut self, ty: &'s TypeRef) -> Vec<Json<'s>> {
        let one = match ty {
            TypeRef::Bool => Json::Boolean,
            TypeRef::Integer { bits, is_signed } => {
                Json::Integer { fits_i64: *bits < 64 || (*bits == 64 && *is_signed) }
            }
            TypeRef::Float { .. } => Json::Real,
            TypeRef::Char => Json::Text(TextFormat::Any),
            TypeRef::Text(format) => Json::Text(*format),
            TypeRef::Unit => Json::Null,
            TypeRef::Optional(ty) => {
                let mut all = self.of_type(ty);
                all.push(Json::Null);
                return all;
            }
            TypeRef::List(ty) | TypeRef::Set(ty) => Json::Items(Content::Of(ty), None),
            TypeRef::Array(ty, length) => Json::Items(Content::Of(ty), Some(*length)),
            TypeRef::Tuple(types) => Json::Places(types.iter().map(Content::Of).collect()),
            TypeRef::Mapping(_, value) => Json::Values(Content::Of(value)),
            TypeRef::Named(name) => return self.of_named(name),
            // `Any` and `Opaque`, and whatever comes.
            _ => Json::Unknown,
        };
        vec![one]
    }

    fn of_named(&mut self, name: &'s str) -> Vec<Json<'s>> {
        if self.looked_at.contains(&name) {
            return Vec::new();
        }
        let Some(ty) = self.schema.types.get(name) else { return vec![Json::Unknown] };
        self.looked_at.push(name);
        let found = match &ty.written {
            Form::As(other) => self.of_type(&other.ty),
            Form::Declared => match &ty.shape {
                Shape::Struct(of) => self.of_struct(of),
                Shape::Enum(of) => self.of_enum(of),
            },
            Form::ByHand => vec![Json::Unknown],
        };
        self.looked_at.pop();
        found
    }

    fn of_struct(&mut self, of: &'s StructSchema) -> Vec<Json<'s>> {
        if of.is_transparent {
            return written(&of.fields).next().map_or_else(Vec::new, |field| self.of_type(&field.ty.ty));
        }
        let mut found = self.of_fields(of.style, &of.fields);
        if let Some(tag) = &of.tag {
            found = self.tagged(tag, found);
        }
        found
    }

    fn of_fields(&mut self, style: Style, fields: &'s [Field]) -> Vec<Json<'s>> {
        match style {
            Style::Unit => vec![Json::Null],
            Style::Newtype => fields.first().map_or_else(Vec::new, |field| self.of_type(&field.ty.ty)),
            Style::Tuple => vec![Json::Places(written(fields).map(|field| Content::Of(&field.ty.ty)).collect())],
            Style::Named => {
                let (mut members, mut is_open) = (Vec::new(), false);
                for field in written(fields) {
                    if field.is_flattened {
                        is_open |= self.flatten(field, &mut members);
                        continue;
                    }
                    let (content, is_always) = (Content::Of(&field.ty.ty), field.skipped_if.is_none());
                    members.push(Member { name: &field.wire_name, content, is_always });
                }
                vec![Json::Members { members, is_open }]
            }
        }
    }

    /// Adds what is in a field to what stands beside it; returns whether there may be more.
    fn flatten(&mut self, field: &'s Field, members: &mut Vec<Member<'s>>) -> bool {
        let alternatives = self.of_type(&field.ty.ty);
        let is_only = alternatives.len() == 1 && field.skipped_if.is_none();
        let mut is_open = false;
        for alternative in alternatives {
            match alternative {
                Json::Members { members: more, is_open: more_is_open } => {
                    let more = more.into_iter();
                    members.extend(more.map(|member| Member { is_always: member.is_always && is_only, ..member }));
                    is_open |= more_is_open;
                }
                Json::Null => {}
                _ => is_open = true,
            }
        }
        is_open
    }

    fn of_enum(&mut self, of: &'s EnumSchema) -> Vec<Json<'s>> {
        let variants = of.variants.iter().filter(|variant| variant.is_compiled && variant.is_written);
        variants.flat_map(|variant| self.of_variant(&of.tagging, variant)).collect()
    }

    fn of_variant(&mut self, tagging: &'s Tagging, variant: &'s Variant) -> Vec<Json<'s>> {
        let content = match variant.written_by {
            Some(_) => Content::Unknown,
            None => Content::Fields(variant.style, &variant.fields),
        };
        let is_unit = variant.style == Style::Unit;
        let member = |name, content| Member { name, content, is_always: true };
        let members = |members| vec![Json::Members { members, is_open: false }];
        match tagging {
            _ if variant.is_untagged => self.of(content),
            Tagging::Untagged => self.of(content),
            Tagging::External if is_unit => vec![Json::Text(TextFormat::Any)],
            Tagging::External => members(vec![member(&variant.wire_name, content)]),
            Tagging::Internal { tag } => {
                let content = self.of(content);
                self.tagged(tag, content)
            }
            Tagging::Adjacent { tag, .. } if is_unit => members(vec![member(tag, Content::Name)]),
            Tagging::Adjacent { tag, content: name } => {
                members(vec![member(tag, Content::Name), member(name, content)])
            }
        }
    }

    /// Puts a tag beside the members.
    fn tagged(&self, tag: &'s str, content: Vec<Json<'s>>) -> Vec<Json<'s>> {
        let tag = Member { name: tag, content: Content::Name, is_always: true };
        let tagged = content.into_iter().map(|content| match content {
            Json::Members { mut members, is_open } => {
                members.insert(0, tag);
                Json::Members { members, is_open }
            }
            Json::Null => Json::Members { members: vec![tag], is_open: false },
            _ => Json::Members { members: vec![tag], is_open: true },
        });
        tagged.collect()
    }
}

/// The fields that are on the wire.
fn written(fields: &[Field]) -> impl Iterator<Item = &Field> {
    fields.iter().filter(|field| field.is_compiled && field.is_written)
}
