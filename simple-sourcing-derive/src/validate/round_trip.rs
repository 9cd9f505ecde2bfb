//! What is written must be read back unchanged: refuses the words of serde that prevent it, or that prevent writing at
//! all.
//!
//! Macros see words and not types, so the engine also compares each value that it writes. What is found here is found
//! at compile time, and reported at the word.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Data, Fields, Variant, ext::IdentExt};

use super::{
    fields::{FieldAt, Words, fields, says},
    types::{has_no_names, has_one_value, is_option, not_to_be_kept, within_option},
};
use crate::{
    diagnostics::Errors,
    model::{Derive, Item, Subject},
    parse::{Rename, TokenMeta, serde_names},
    symbol::*,
    text::inline,
    wire::{self, Names},
};

/// All of the rules. A hand-written `Serialize` or `Deserialize` is up to the user.
pub(crate) fn round_trip(item: &Item, errors: &mut Errors) {
    if item.manual.contains(&SERIALIZE_DERIVE) || item.manual.contains(&DESERIALIZE_DERIVE) {
        return;
    }
    check_type(item, errors);
    // Written and read as another type, about which nothing is known here.
    let words = Words::of(&item.node.attrs);
    if [INTO, FROM, TRY_FROM].iter().any(|word| words.get(word).is_some()) {
        return;
    }
    if let Data::Enum(data) = &item.node.data {
        data.variants.iter().for_each(|variant| check_variant(variant, &words, errors));
    }
    for place in fields(&item.node.data) {
        check_field(&place, item, &words, errors);
    }
    check_names(item, errors);
}

fn check_type(item: &Item, errors: &mut Errors) {
    let words = Words::of(&item.node.attrs);
    let (name, one) = (&item.node.ident, item.subject.one());
    if let Some(meta) = words.get(UNTAGGED) {
        let message = "`untagged` variants are written without their names, so one may be read back as another";
        errors.at(&meta.tokens, format!("{message}: remove `untagged`, or write `tag = \"type\"`"));
    }
    if let Some(meta) = words.first(&[REMOTE, FIELD_IDENTIFIER, VARIANT_IDENTIFIER]) {
        let message =
            format!("with `{}`, serde doesn't implement `Serialize` and `Deserialize` for `{name}`", meta.word);
        errors.at(&meta.tokens, format!("{message}, which {one} needs: remove `{}`", meta.word));
    }
    if let (Data::Struct(_), Some(meta), true) = (&item.node.data, words.get(TAG), words.has(DENY_UNKNOWN_FIELDS)) {
        let message = format!("`{TAG}` adds a field that `{DENY_UNKNOWN_FIELDS}` rejects");
        errors.at(&meta.tokens, format!("{message} when `{name}` is read back: remove one of the two"));
    }
    let value = |meta: &TokenMeta| meta.value.as_ref().map(syn::LitStr::value).unwrap_or_default();
    match (words.get(INTO), words.first(&[FROM, TRY_FROM])) {
        (Some(into), None) => {
            let ty = value(into);
            let message = format!("`{name}` is written as `{ty}`, but not read as it");
            errors.at(&into.tokens, format!("{message}: add `from = \"{ty}\"` or `try_from = \"{ty}\"`"));
        }
        (None, Some(from)) => {
            let ty = value(from);
            let message = format!("`{name}` is read as `{ty}`, but not written as it");
            errors.at(&from.tokens, format!("{message}: add `into = \"{ty}\"`"));
        }
        (Some(into), Some(from)) if !is_one_type(&value(into), &value(from)) => {
            let message = format!("`{name}` is written as `{}`, but read as `{}`", value(into), value(from));
            errors.at(&into.tokens, format!("{message}: use one type for both"));
        }
        _ => {}
    }
}

/// Whether two types are the same, regardless of spacing.
fn is_one_type(one: &str, other: &str) -> bool {
    let tokens = |text: &str| text.parse::<TokenStream>().map(|tokens| tokens.to_string()).unwrap_or_default();
    tokens(one) == tokens(other)
}

fn check_variant(variant: &Variant, of_type: &Words, errors: &mut Errors) {
    let words = Words::of(&variant.attrs);
    let name = &variant.ident;
    if let Some(meta) = words.first(SKIPS) {
        let not = if meta.word == SKIP_DESERIALIZING { "read back" } else { "written" };
        errors.at(&meta.tokens, format!("`{name}` could never be {not}: remove `{}`, or the variant", meta.word));
    }
    if let Some(meta) = words.get(OTHER) {
        let message = format!("every unknown variant would be read as `{name}`, and its data would be lost");
        errors.at(&meta.tokens, format!("{message}: remove `other`"));
    }
    if let Some(meta) = words.get(UNTAGGED) {
        let message = format!("`{name}` is written without its name, so it may be read back as another variant");
        errors.at(&meta.tokens, format!("{message}: remove `untagged`"));
    }
    check_with(&words, &format!("`{name}`"), errors);
    // With several fields, serde reports it.
    if is_tagged_within(of_type)
        && let Fields::Unnamed(fields) = &variant.fields
        && let (Some(field), 1) = (fields.unnamed.first(), fields.unnamed.len())
        && (has_no_names(&field.ty) || is_option(&field.ty))
        && !says(&field.attrs, NOT_WRITTEN)
        && words.first(NOT_WRITTEN).is_none()
    {
        let ty = inline(&field.ty);
        let message =
            format!("`{name}` could never be written, because `{TAG}` needs named fields and `{ty}` has none");
        let hint = format!("write `{name} {{ value: {ty} }}`, or add `content = \"...\"`");
        errors.at(&field.ty, format!("{message}: {hint}"));
    }
}

/// Whether the name of a variant is written among its fields.
fn is_tagged_within(of_type: &Words) -> bool {
    of_type.has(TAG) && !of_type.has(CONTENT)
}

fn check_field(place: &FieldAt<'_>, item: &Item, of_type: &Words, errors: &mut Errors) {
    let FieldAt { variant, field, .. } = place;
    let words = Words::of(&field.attrs);
    let name = name_of(place);
    if let Some(meta) = words.first(SKIPS) {
        return check_skipped(meta, &words, place, item, of_type, errors);
    }
    if let Some(meta) = words.get(SKIP_SERIALIZING_IF) {
        check_skipped_if(meta, &words, place, of_type, errors);
    }
    check_with(&words, &name, errors);
    let of_variant = variant.map(|variant| Words::of(&variant.attrs));
    let is_custom = |words: &Words| words.first(NOT_READ).is_some() || words.first(NOT_WRITTEN).is_some();
    if is_custom(&words) || of_variant.as_ref().is_some_and(is_custom) {
        return;
    }
    let flatten = words.get(FLATTEN);
    if let Some(meta) = flatten
        && has_no_names(within_option(&field.ty))
    {
        let ty = inline(&field.ty);
        let message =
            format!("{name} could never be written, because `{FLATTEN}` needs named fields and `{ty}` has none");
        return errors.at(&meta.tokens, format!("{message}: remove `{FLATTEN}`"));
    }
    let is_tagged = variant.is_some() && is_tagged_within(of_type);
    if let Some(what) = (flatten.is_some() || is_tagged).then(|| not_to_be_kept(&field.ty)).flatten() {
        let (cause, hint) = match flatten {
            Some(_) => (FLATTEN, "remove `flatten`"),
            None => (TAG, "add `content = \"...\"`"),
        };
        let at = flatten.map_or_else(|| field.ty.to_token_stream(), |meta| meta.tokens.clone());
        let message = format!("{name} could never be read back, because serde can't read {what} with `{cause}`");
        errors.at(at, format!("{message}: {hint}, or use another type"));
    }
}

/// The name of a field in messages.
fn name_of(place: &FieldAt<'_>) -> String {
    match (&place.field.ident, place.variant) {
        (Some(name), _) => format!("`{}`", name.unraw()),
        (None, Some(variant)) => format!("field {} of `{}`", place.index, variant.ident),
        (None, None) => format!("field {}", place.index),
    }
}

/// What serde skips is lost. In a state it may be recomputed.
fn check_skipped(
    meta: &TokenMeta,
    words: &Words,
    place: &FieldAt<'_>,
    item: &Item,
    of_type: &Words,
    errors: &mut Errors,
) {
    let (name, word) = (name_of(place), &meta.word);
    if has_one_value(&place.field.ty) {
        return;
    }
    let lost = match item.subject {
        Subject::Event => Some("is lost, so no reader of the event would get it".to_owned()),
        Subject::Command => Some("is lost on the way, so the handler would not get it".to_owned()),
        Subject::State => None,
    };
    if let Some(lost) = lost {
        return errors.at(&meta.tokens, format!("with `{word}`, {name} {lost}: remove `{word}`, or the field"));
    }
    if item.derives.contains(&Derive::PartialEq) {
        let message = format!("{name} is skipped, so the state that is read back would differ from the one written");
        let hint =
            "for a cache, write `manual(PartialEq)` in `#[aggregate(...)]` and an `impl PartialEq` that ignores it";
        errors.at(&meta.tokens, format!("{message}: remove `{word}`; {hint}"));
    } else if word == SKIP_SERIALIZING && !words.has(SKIP_DESERIALIZING) && !has_default(words, place, of_type) {
        errors.at(&meta.tokens, format!("{name} is not written, but needed to read the state: write `{SKIP}`"));
    } else if word == SKIP_DESERIALIZING && !words.has(SKIP_SERIALIZING) && of_type.has(DENY_UNKNOWN_FIELDS) {
        let message = format!("{name} is written, but `{DENY_UNKNOWN_FIELDS}` rejects it when the state is read");
        errors.at(&meta.tokens, format!("{message}: write `{SKIP}`"));
    }
}

/// Whether a missing field can be read.
fn has_default(words: &Words, place: &FieldAt<'_>, of_type: &Words) -> bool {
    let is_none = is_option(&place.field.ty) && words.first(&[WITH, DESERIALIZE_WITH]).is_none();
    words.has(DEFAULT) || (place.variant.is_none() && of_type.has(DEFAULT)) || is_none
}

fn check_skipped_if(meta: &TokenMeta, words: &Words, place: &FieldAt<'_>, of_type: &Words, errors: &mut Errors) {
    let name = name_of(place);
    let Fields::Unnamed(fields) = place.fields else {
        if !has_default(words, place, of_type) {
            errors.at(&meta.tokens, not_without_default(&name));
        }
        return;
    };
    let count = fields.unnamed.len();
    if place.index + 1 < count {
        let message = format!("if {name} is not written, the fields after it are read in its place");
        errors.at(&meta.tokens, format!("{message}: remove `{}`, or use named fields", meta.word));
    } else if count > 1 && !words.has(DEFAULT) {
        errors.at(&meta.tokens, not_without_default(&name));
    }
}

fn not_without_default(name: &str) -> String {
    format!("if {name} is not written, it can't be read back: add `{DEFAULT}`")
}

/// A custom function for writing only, or for reading only.
fn check_with(words: &Words, name: &str, errors: &mut Errors) {
    let (lone, of_it, other, of_other) = match (words.get(SERIALIZE_WITH), words.get(DESERIALIZE_WITH)) {
        (Some(lone), None) => (lone, "written", DESERIALIZE_WITH, "read"),
        (None, Some(lone)) => (lone, "read", SERIALIZE_WITH, "written"),
        _ => return,
    };
    if words.has(WITH) {
        return;
    }
    let default = if other == SERIALIZE_WITH { "Serialize::serialize" } else { "Deserialize::deserialize" };
    let message = format!("{name} is {of_it} by a custom function, but {of_other} by the default one");
    let hint = format!("add `{other} = \"...\"`, e.g. `\"serde::{default}\"` for the default");
    errors.at(&lone.tokens, format!("{message}: {hint}"));
}

fn check_names(item: &Item, errors: &mut Errors) {
    let of_type = serde_names(&item.node.attrs);
    match &item.node.data {
        Data::Enum(data) => {
            let variants = data.variants.iter().map(|node| {
                let names = wire::of_variant(node, &of_type.rename_all);
                Named { ident: &node.ident, attrs: &node.attrs, names }
            });
            check_group(variants.collect(), &of_type.rename_all, errors);
            for variant in &data.variants {
                let own = serde_names(&variant.attrs);
                check_fields(&variant.fields, &wire::rule_of_fields(&own, &of_type), errors);
            }
        }
        Data::Struct(data) => check_fields(&data.fields, &of_type.rename_all, errors),
        Data::Union(_) => {}
    }
}

fn check_fields(fields: &Fields, rename_all: &Rename, errors: &mut Errors) {
    let passed_over = [SKIPS, &[FLATTEN]].concat();
    let named = fields.iter().filter(|field| !says(&field.attrs, &passed_over)).filter_map(|field| {
        let ident = field.ident.as_ref()?;
        Some(Named { ident, attrs: &field.attrs, names: wire::of_field(&field.attrs, ident, rename_all) })
    });
    check_group(named.collect(), rename_all, errors);
}

/// A variant or a field.
struct Named<'a> {
    ident: &'a Ident,
    attrs: &'a [Attribute],
    names: Names,
}

/// The variants of an enum, or the fields of one of them: each must be read under the name under which it is written,
/// and no two may share one.
fn check_group(group: Vec<Named<'_>>, rename_all: &Rename, errors: &mut Errors) {
    let mut is_rule_reported = false;
    let mut first: HashMap<String, &Ident> = HashMap::new();
    for Named { ident, attrs, names } in &group {
        let own = serde_names(attrs).rename;
        if !names.is_read_back() {
            let (at, is_rule) = if own.is_split() { (&own.tokens, false) } else { (&rename_all.tokens, true) };
            if !(is_rule && is_rule_reported) {
                errors.at(at, not_read_back(ident, names, if is_rule { rename_all } else { &own }, is_rule));
            }
            is_rule_reported |= is_rule;
        }
        // Those under a `#[cfg]` may never exist together, and the compiler reports two with the same identifier.
        if !crate::carried::named(attrs, &[CFG]).is_empty() {
            continue;
        }
        let holders: Vec<&Ident> = names.all().map(|name| *first.entry(name).or_insert(ident)).collect();
        if let Some(earlier) = holders.into_iter().rfind(|holder| holder != ident) {
            let message = format!("`{ident}` and `{earlier}` share a wire name, so one of them can't be read back");
            let hint = "rename one with `#[serde(rename = \"...\")]`";
            errors.at(&names.written, format!("{message}: {hint}"));
        }
    }
}

fn not_read_back(ident: &Ident, names: &Names, rename: &Rename, is_rule: bool) -> String {
    let written = names.written.value();
    let read: Vec<&str> = names.read.iter().map(String::as_str).collect();
    let message = format!("`{ident}` is written as `{written}`, but read as {}", crate::diagnostics::list(&read));
    match (is_rule, &rename.written) {
        (true, Some(rule)) => format!("{message}: use one rule, `rename_all = \"{}\"`", rule.value()),
        (true, None) => format!("{message}: use one rule for both"),
        (false, _) => format!("{message}: write `rename = \"{written}\"`, and `alias` for other names to read"),
    }
}
