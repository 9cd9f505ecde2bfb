//! The fields of an item, and what serde is told about them.

use syn::{Attribute, Data, Field, Fields, Variant};

use crate::parse::{TokenMeta, serde_words};

/// A field and where it is.
pub(super) struct FieldAt<'a> {
    pub(super) variant: Option<&'a Variant>,
    pub(super) fields: &'a Fields,
    pub(super) field: &'a Field,
    /// The number of the field in its variant or its struct.
    pub(super) index: usize,
}

pub(super) fn fields(data: &Data) -> Vec<FieldAt<'_>> {
    let groups: Vec<(Option<&Variant>, &Fields)> = match data {
        Data::Struct(data) => vec![(None, &data.fields)],
        Data::Enum(data) => data.variants.iter().map(|variant| (Some(variant), &variant.fields)).collect(),
        Data::Union(_) => Vec::new(),
    };
    let of = |(variant, fields)| in_order(variant, fields);
    groups.into_iter().flat_map(of).collect()
}

fn in_order<'a>(variant: Option<&'a Variant>, fields: &'a Fields) -> Vec<FieldAt<'a>> {
    fields.iter().enumerate().map(|(index, field)| FieldAt { variant, fields, field, index }).collect()
}

/// Whether serde is told one of these words.
pub(super) fn says(attrs: &[Attribute], words: &[&str]) -> bool {
    Words::of(attrs).first(words).is_some()
}

/// What serde is told.
pub(super) struct Words(Vec<TokenMeta>);

impl Words {
    pub(super) fn of(attrs: &[Attribute]) -> Self {
        Words(serde_words(attrs))
    }

    pub(super) fn get(&self, word: &str) -> Option<&TokenMeta> {
        self.0.iter().find(|meta| meta.word == word)
    }

    pub(super) fn first(&self, words: &[&str]) -> Option<&TokenMeta> {
        self.0.iter().find(|meta| words.contains(&meta.word.as_str()))
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.get(word).is_some()
    }
}
