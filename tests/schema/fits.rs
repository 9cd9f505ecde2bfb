//! Whether JSON fits a schema: everything that is written is known, and everything that is known is written.

use serde_json::{Map, Value};
use simple_sourcing::schema::{
    EnumSchema, Field, Form, Shape, StructSchema, Style, Tagging, Text, TypeRef, TypeSchema, Variant,
};
use std::collections::BTreeMap;

pub struct Types(pub BTreeMap<Text, TypeSchema>);

type Fits = Result<(), String>;

impl Types {
    pub fn fits(&self, ty: &TypeRef, json: &Value) -> Fits {
        let all = |ty: &TypeRef| match json {
            Value::Array(items) => items.iter().try_for_each(|item| self.fits(ty, item)),
            _ => Err(format!("{json} is no list")),
        };
        match ty {
            TypeRef::Bool => expect(json.is_boolean(), "a bool", json),
            TypeRef::Integer { is_signed: true, .. } => expect(json.is_i64(), "an integer", json),
            TypeRef::Integer { .. } => expect(json.is_u64(), "an unsigned integer", json),
            TypeRef::Float { .. } => expect(json.is_number(), "a number", json),
            TypeRef::Char => expect(json.as_str().is_some_and(|text| text.chars().count() == 1), "a character", json),
            TypeRef::Text(_) => expect(json.is_string(), "a text", json),
            TypeRef::Unit => expect(json.is_null(), "null", json),
            TypeRef::Optional(_) if json.is_null() => Ok(()),
            TypeRef::Optional(of) => self.fits(of, json),
            TypeRef::List(of) | TypeRef::Set(of) => all(of),
            TypeRef::Array(of, length) => {
                expect(json.as_array().is_some_and(|items| items.len() == *length), "a list of the length", json)?;
                all(of)
            }
            TypeRef::Tuple(of) => self.tuple(of.iter(), json),
            TypeRef::Mapping(_, value) => match json {
                Value::Object(map) => map.values().try_for_each(|json| self.fits(value, json)),
                _ => Err(format!("{json} is no map")),
            },
            TypeRef::Named(name) => self.named(&self.0[name], json),
            TypeRef::Any | TypeRef::Opaque(_) => Ok(()),
            other => Err(format!("{other:?} is not known to this test")),
        }
    }

    fn tuple<'a>(&self, of: impl ExactSizeIterator<Item = &'a TypeRef>, json: &Value) -> Fits {
        let items = json.as_array().ok_or_else(|| format!("{json} is no list"))?;
        expect(items.len() == of.len(), "a list of the length", json)?;
        of.zip(items).try_for_each(|(ty, item)| self.fits(ty, item))
    }

    fn named(&self, ty: &TypeSchema, json: &Value) -> Fits {
        match (&ty.written, &ty.shape) {
            (Form::As(other), _) => self.fits(&other.ty, json),
            (Form::Declared, Shape::Struct(of)) => self.structure(ty, of, json),
            (Form::Declared, Shape::Enum(of)) => self.enumeration(of, json),
            (other, _) => Err(format!("{other:?} is not known to this test")),
        }
    }

    fn structure(&self, ty: &TypeSchema, of: &StructSchema, json: &Value) -> Fits {
        if of.is_transparent {
            return of
                .fields
                .iter()
                .filter(|field| field.is_written)
                .try_for_each(|field| self.fits(&field.ty.ty, json));
        }
        let mut rest = json.clone();
        if let Some(tag) = &of.tag {
            let name = rest.as_object_mut().and_then(|map| map.remove(&**tag));
            expect(name == Some(Value::from(&*ty.wire_name)), "the name of the type", json)?;
        }
        self.content(of.style, &of.fields, &rest)
    }

    fn content(&self, style: Style, fields: &[Field], json: &Value) -> Fits {
        let mut written = fields.iter().filter(|field| field.is_compiled && field.is_written);
        match style {
            Style::Unit => expect(json.is_null(), "null", json),
            Style::Newtype => written.try_for_each(|field| self.fits(&field.ty.ty, json)),
            Style::Tuple => self.tuple(written.map(|field| &field.ty.ty).collect::<Vec<_>>().into_iter(), json),
            Style::Named => {
                let mut map = json.as_object().cloned().ok_or_else(|| format!("{json} is no map"))?;
                written.try_for_each(|field| self.take(field, &mut map))?;
                expect(map.is_empty(), "known", &Value::Object(map.clone()))
            }
        }
    }

    /// Consumes what a field has written.
    fn take(&self, field: &Field, map: &mut Map<String, Value>) -> Fits {
        if field.is_flattened {
            return self.take_flat(&field.ty.ty, map);
        }
        match map.remove(&*field.wire_name) {
            Some(json) => self.fits(&field.ty.ty, &json).map_err(|error| format!("{}: {error}", field.name)),
            None if field.skipped_if.is_some() => Ok(()),
            None => Err(format!("`{}` is not written", field.wire_name)),
        }
    }

    fn take_flat(&self, ty: &TypeRef, map: &mut Map<String, Value>) -> Fits {
        match ty {
            TypeRef::Mapping(_, value) => std::mem::take(map).values().try_for_each(|json| self.fits(value, json)),
            TypeRef::Named(name) => match &self.0[name].shape {
                Shape::Struct(of) => {
                    of.fields.iter().filter(|field| field.is_written).try_for_each(|field| self.take(field, map))
                }
                Shape::Enum(_) => Err("a flat enum is not known to this test".to_owned()),
                _ => Err("another shape".to_owned()),
            },
            other => Err(format!("{other:?} can't be flat")),
        }
    }

    fn enumeration(&self, of: &EnumSchema, json: &Value) -> Fits {
        let variant = |name: &Value| {
            let found = of.variants.iter().find(|variant| *name == *variant.wire_name && variant.is_written);
            found.ok_or_else(|| format!("there is no variant {name}"))
        };
        let content = |variant: &Variant, json: &Value| self.content(variant.style, &variant.fields, json);
        match &of.tagging {
            Tagging::External => match json {
                Value::String(_) => expect(variant(json)?.style == Style::Unit, "a variant with content", json),
                Value::Object(map) if map.len() == 1 => {
                    map.iter().try_for_each(|(name, json)| content(variant(&Value::from(&**name))?, json))
                }
                _ => Err(format!("{json} is no variant")),
            },
            Tagging::Internal { tag } => {
                let mut map = json.as_object().cloned().ok_or_else(|| format!("{json} is no map"))?;
                let variant = variant(&map.remove(&**tag).unwrap_or_default())?;
                match variant.style {
                    Style::Unit => expect(map.is_empty(), "a variant without content", json),
                    _ => content(variant, &Value::Object(map)),
                }
            }
            Tagging::Adjacent { tag, content: key } => {
                let mut map = json.as_object().cloned().ok_or_else(|| format!("{json} is no map"))?;
                let variant = variant(&map.remove(&**tag).unwrap_or_default())?;
                match map.remove(&**key) {
                    Some(json) => content(variant, &json)?,
                    None => expect(variant.style == Style::Unit, "a variant with content", json)?,
                }
                expect(map.is_empty(), "known", json)
            }
            Tagging::Untagged => {
                let found = of.variants.iter().any(|variant| content(variant, json).is_ok());
                expect(found, "one of the variants", json)
            }
            other => Err(format!("{other:?} is not known to this test")),
        }
    }
}

fn expect(is_so: bool, what: &str, json: &Value) -> Fits {
    if is_so { Ok(()) } else { Err(format!("{json} is not {what}")) }
}
