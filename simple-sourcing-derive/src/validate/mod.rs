//! The rules: one `check_*` for each. Each says what is wrong and what to write instead.

mod fields;
mod round_trip;
mod types;

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Data, DeriveInput, Fields, Type, ext::IdentExt};

pub(crate) use self::round_trip::round_trip;

use crate::{
    diagnostics::{Errors, list},
    model::{Aggregate, Command, Described, Event, Item, Key, Projection, Variant, has},
    naming,
    parse::{Given, SerdeWords, conditional, is_rename},
    symbol::*,
    text::inline,
};

pub(crate) fn event(event: &Event, errors: &mut Errors) {
    check_no_generics(&event.item.node, errors);
    check_is_enum(&event.item.node, EVENT, errors);
    check_owns_its_data(&event.item, errors);
    round_trip(&event.item, errors);
    check_required(EVENT, &[(KEY, "String".to_owned())], &event.given, errors);
    check_wire_name_of_aggregate(event, errors);
    check_exclusive(&event.variants, CREATE, DELETE, errors);
    check_some_event_creates(event, errors);
    check_distinct_items(&[&event.item.node.ident, &event.applier, &event.projector, &event.projection], errors);
    check_variants(&event.variants, errors);
}

pub(crate) fn command(command: &Command, errors: &mut Errors) {
    check_no_generics(&command.item.node, errors);
    check_is_enum(&command.item.node, COMMAND, errors);
    check_owns_its_data(&command.item, errors);
    round_trip(&command.item, errors);
    types::check_no_hash_set(&command.item, errors);
    let required = [(EVENT, inline(&command.event)), (ERROR, inline(&command.error))];
    check_required(COMMAND, &required, &command.given, errors);
    check_exclusive(&command.variants, CREATE, UPSERT, errors);
    check_some_command_creates(command, errors);
    check_distinct_items(&[&command.item.node.ident, &command.handler, &command.client], errors);
    check_variants(&command.variants, errors);
}

pub(crate) fn aggregate(aggregate: &Aggregate, errors: &mut Errors) {
    let node = &aggregate.item.node;
    check_no_generics(node, errors);
    check_is_state(node, errors);
    check_owns_its_data(&aggregate.item, errors);
    round_trip(&aggregate.item, errors);
    check_required(AGGREGATE, &[(COMMAND, inline(&aggregate.command))], &aggregate.given, errors);
}

pub(crate) fn projection(projection: &Projection, errors: &mut Errors) {
    let Projection { node, given, events, name, .. } = projection;
    if !node.generics.params.is_empty() {
        let message = "a projection can't have generics or lifetimes, because it has one name and one set of rows";
        errors.at(&node.generics, format!("{message}: write a type for each `{}` that you need", node.ident));
    }
    if given.lacks(EVENTS) {
        errors.at_attribute("`#[projection]` needs `events`: write `#[projection(events(path::to::Type))]`".to_owned());
    }
    let mut seen = Vec::new();
    for path in events {
        let text = inline(path);
        if seen.contains(&text) {
            errors.at(path, format!("duplicate event `{text}`: remove one"));
        }
        seen.push(text);
    }
    // Tables and schemas are named after it.
    let text = name.value();
    let is_word =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_word(&text) || !text.starts_with(|first: char| first.is_ascii_lowercase()) || text.len() > 40 {
        let rule = "must start with a letter and have at most 40 characters: `a` to `z`, digits and `_`";
        let hint = "tables are named after it, so write e.g. `name = \"balances\"`";
        errors.at(name, format!("the name of a projection {rule}; {hint}"));
    }
}

pub(crate) fn key(key: &Key, errors: &mut Errors) {
    check_no_generics(&key.node, errors);
    if key.field.is_none() {
        let name = &key.node.ident;
        let what =
            format!("`#[derive(Key)]` can only be applied to a struct with one field: write `struct {name}(String);`");
        errors.at(name, format!("{what}, or implement `Key` by hand"));
    }
}

pub(crate) fn described(described: &Described, errors: &mut Errors) {
    let node = &described.node;
    let name = &node.ident;
    if let Data::Union(data) = &node.data {
        let message = "a union can't be described, because serde can't write it";
        errors.at(data.union_token, format!("{message}: write `struct {name} {{ ... }}` or `enum {name} {{ ... }}`"));
    }
    if let Some(lifetime) = node.generics.lifetimes().next() {
        let message =
            format!("`{name}` can't have lifetimes, because it must own its data to be read back from the log");
        errors.at(lifetime, format!("{message}: write `String` for `&str`, `Vec<T>` for `&[T]`"));
    }
    let words = SerdeWords::of(&node.attrs);
    for meta in [REMOTE, FIELD_IDENTIFIER, VARIANT_IDENTIFIER].iter().filter_map(|word| words.get(word)) {
        let message =
            format!("with `{}`, serde doesn't implement `Serialize` and `Deserialize` for `{name}`", meta.word);
        errors.at(&meta.tokens, format!("{message}, so there is nothing to describe: remove `#[derive(Described)]`"));
    }
}

fn check_variants<R>(variants: &[Variant<R>], errors: &mut Errors) {
    check_method_names(variants, errors);
    check_conditional_names(variants, errors);
    check_conditional_fields(variants, errors);
}

fn check_no_generics(node: &DeriveInput, errors: &mut Errors) {
    let message = format!(
        "`{}` can't have generics or lifetimes, because it is written to the log and read back as one type: \
         write a separate item for each type",
        node.ident
    );
    if !node.generics.params.is_empty() {
        errors.at(&node.generics, message);
    } else if let Some(clause) = &node.generics.where_clause {
        errors.at(clause, message);
    }
}

fn check_is_enum(node: &DeriveInput, macro_name: &str, errors: &mut Errors) {
    let keyword: TokenStream = match &node.data {
        Data::Enum(data) if data.variants.is_empty() => {
            let name = &node.ident;
            return errors.at(name, format!("`{name}` has no variants: write a variant for each kind of {macro_name}"));
        }
        Data::Enum(_) => return,
        Data::Struct(data) => data.struct_token.to_token_stream(),
        Data::Union(data) => data.union_token.to_token_stream(),
    };
    let name = &node.ident;
    let message =
        format!("`#[{macro_name}]` can only be applied to an enum, with a variant for each kind of {macro_name}");
    errors.at(keyword, format!("{message}: write `enum {name} {{ ... }}`, even for a single {macro_name}"));
}

fn check_is_state(node: &DeriveInput, errors: &mut Errors) {
    if let Data::Union(data) = &node.data {
        let message = "`#[aggregate]` can only be applied to a struct or an enum";
        errors.at(data.union_token, format!("{message}: write `struct {} {{ ... }}`", node.ident));
    }
}

/// serde's derives would report a reference with a long message that doesn't mention the log.
fn check_owns_its_data(item: &Item, errors: &mut Errors) {
    let what = item.subject.one();
    for reference in &item.references {
        let message = format!("{what} is written to the log and read back, so it must own its data");
        errors.at(reference, format!("{message}: write `{}`", owned(&reference.elem)));
    }
}

/// The type to write for a reference to this one.
fn owned(ty: &Type) -> String {
    match ty {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", inline(&slice.elem)),
        _ => inline(ty),
    }
}

fn check_required(of: &str, required: &[(&str, String)], given: &Given, errors: &mut Errors) {
    let missing: Vec<&str> = required.iter().map(|(word, _)| *word).filter(|word| given.lacks(word)).collect();
    if !missing.is_empty() {
        let example: Vec<String> = required.iter().map(|(word, example)| format!("{word} = {example}")).collect();
        let example = example.join(", ");
        errors.at_attribute(format!("`#[{of}]` needs {}: write `#[{of}({example})]`", list(&missing)));
    }
}

fn check_wire_name_of_aggregate(event: &Event, errors: &mut Errors) {
    let name = event.aggregate.value();
    if name.is_empty() {
        errors.at(&event.aggregate, "the name of the aggregate type can't be empty: write e.g. `name = \"account\"`");
    } else if let Some(letter) = naming::forbidden_letter(&name) {
        let message =
            format!("the name of the aggregate type can't contain `{letter}`, because topics are named after it");
        let hint = "write `name = \"...\"` with only ASCII letters, digits, `.`, `_` and `-`";
        errors.at(&event.aggregate, format!("{message}: {hint}"));
    }
}

fn check_exclusive<R>(variants: &[Variant<R>], one: &str, other: &str, errors: &mut Errors) {
    for variant in variants {
        let mark = |word| variant.helpers.iter().position(|mark| mark.word == word);
        if let (Some(first), Some(second)) = (mark(one), mark(other))
            && let Some(second) = variant.helpers.get(first.max(second))
        {
            let name = &variant.node.ident;
            errors.at(&second.node, format!("`{name}` can't be both `#[{one}]` and `#[{other}]`: remove one"));
        }
    }
}

fn check_some_event_creates(event: &Event, errors: &mut Errors) {
    let some = event.variants.iter().any(|variant| has(&variant.helpers, CREATE));
    if !some && let Some(first) = event.variants.first() {
        let message = "no event creates the aggregate, so it could never exist";
        let hint = format!("mark the event that creates it, e.g. `#[create] {}`", first.node.ident);
        errors.at(&event.item.node.ident, format!("{message}: {hint}"));
    }
}

fn check_some_command_creates(command: &Command, errors: &mut Errors) {
    let may_create = |variant: &Variant<_>| has(&variant.helpers, CREATE) || has(&variant.helpers, UPSERT);
    if !command.variants.iter().any(may_create)
        && let Some(first) = command.variants.first()
    {
        let message = "every command expects an existing aggregate, so none could ever be created";
        let hint = format!("mark the command that creates it, e.g. `#[create] {}`", first.node.ident);
        errors.at(&command.item.node.ident, format!("{message}: {hint}, or one that may create it with `#[upsert]`"));
    }
}

fn check_distinct_items(names: &[&Ident], errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        let text = name.unraw().to_string();
        if seen.contains(&text) {
            errors.at(name, format!("the name `{text}` is used for two items: choose another for the generated one"));
        }
        seen.push(text);
    }
}

fn check_method_names<R>(variants: &[Variant<R>], errors: &mut Errors) {
    for (variant, earlier) in duplicates(variants, |variant| vec![variant.method.unraw().to_string()]) {
        let (name, other) = (&variant.node.ident, &earlier.node.ident);
        let method = variant.method.unraw();
        errors.at(name, format!("`{name}` and `{other}` both have the method `{method}`: rename one of them"));
    }
    for variant in variants {
        let name = variant.node.ident.unraw().to_string();
        let method = naming::snake_case(&name);
        if naming::is_no_method(&method) {
            let message = format!("the method of `{name}` would be `{method}`, which can't be a method name");
            let hint = format!("rename the variant, and keep its wire name with `#[serde(rename = \"{name}\")]`");
            errors.at(&variant.node.ident, format!("{message}: {hint}"));
        }
    }
}

/// Variants that share a name with an earlier one. Those under a `#[cfg]` may never exist together and are left out.
/// The compiler reports two with the same identifier.
fn duplicates<R>(
    variants: &[Variant<R>],
    names: impl Fn(&Variant<R>) -> Vec<String>,
) -> Vec<(&Variant<R>, &Variant<R>)> {
    let mut first: HashMap<String, &Variant<R>> = HashMap::new();
    let mut found = Vec::new();
    for variant in variants.iter().filter(|variant| variant.cfgs.is_empty()) {
        let mut earlier = None;
        for name in names(variant) {
            let holder = *first.entry(name).or_insert(variant);
            if holder.node.ident != variant.node.ident {
                earlier = Some(holder);
            }
        }
        found.extend(earlier.map(|earlier| (variant, earlier)));
    }
    found
}

/// An attribute macro sees `#[cfg_attr]` unresolved, so it can't know whether the name in it counts.
fn check_conditional_names<R>(variants: &[Variant<R>], errors: &mut Errors) {
    for attr in variants.iter().flat_map(|variant| &variant.node.attrs) {
        for meta in conditional(attr).iter().filter(|meta| is_rename(meta)) {
            errors.at(meta, "a wire name can't be conditional: write it outside of `cfg_attr`");
        }
    }
}

/// The fields of a tuple are identified by their number, which changes with a `#[cfg]` before them.
fn check_conditional_fields<R>(variants: &[Variant<R>], errors: &mut Errors) {
    for variant in variants.iter().filter(|variant| matches!(variant.node.fields, Fields::Unnamed(_))) {
        for cfg in variant.fields.iter().flat_map(|field| &field.cfgs) {
            let name = &variant.node.ident;
            errors.at(cfg, format!("an unnamed field can't be conditional: write `{name} {{ name: Type }}`"));
        }
    }
}
