//! What the name of a type tells: macros see nothing else of it.

use syn::{GenericArgument, Ident, PathArguments, Type};

use crate::{
    diagnostics::Errors,
    model::Item,
    symbol::{NOT_WRITTEN, SERIALIZE_DERIVE},
};

use super::fields::{FieldAt, fields, says};

/// A retry of a command is recognized by its bytes, and a hash set is written in a different order each time.
pub(super) fn check_no_hash_set(item: &Item, errors: &mut Errors) {
    if item.manual.contains(&SERIALIZE_DERIVE) {
        return;
    }
    for FieldAt { variant, field, .. } in fields(&item.node.data) {
        let is_custom = says(&field.attrs, NOT_WRITTEN) || variant.is_some_and(|node| says(&node.attrs, NOT_WRITTEN));
        if let Some(found) =
            (!is_custom).then(|| find(&field.ty, &|name| name.to_string().ends_with("HashSet"))).flatten()
        {
            let message = format!(
                "a `{found}` is written in a different order each time, so a retry would be a different command"
            );
            errors.at(found, format!("{message}: use a `BTreeSet`"));
        }
    }
}

/// The first matching name within a type, at any depth.
fn find<'a>(ty: &'a Type, wanted: &dyn Fn(&Ident) -> bool) -> Option<&'a Ident> {
    match ty {
        Type::Array(array) => find(&array.elem, wanted),
        Type::Slice(slice) => find(&slice.elem, wanted),
        Type::Group(group) => find(&group.elem, wanted),
        Type::Paren(paren) => find(&paren.elem, wanted),
        Type::Reference(reference) => find(&reference.elem, wanted),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(|ty| find(ty, wanted)),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            if wanted(&last.ident) {
                return Some(&last.ident);
            }
            // A marker contains no value of its type.
            (last.ident != "PhantomData").then(|| arguments(ty).find_map(|ty| find(ty, wanted))).flatten()
        }
        _ => None,
    }
}

/// The last word of a path: `HashMap` of `std::collections::HashMap<K, V>`.
pub(super) fn name(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Group(group) => name(&group.elem),
        Type::Paren(paren) => name(&paren.elem),
        Type::Path(path) => path.path.segments.last().map(|last| &last.ident),
        _ => None,
    }
}

/// The types between the angle brackets.
fn arguments(ty: &Type) -> impl Iterator<Item = &Type> {
    let last = match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    let arguments = match last.map(|last| &last.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// What serde can't buffer until it knows the type: 128-bit integers, and map keys that aren't strings.
pub(super) fn not_to_be_kept(ty: &Type) -> Option<String> {
    let is_wide = |name: &Ident| name == "u128" || name == "i128";
    if let Some(wide) = find(ty, &is_wide) {
        return Some(format!("`{wide}`"));
    }
    let is_map = |name: &Ident| ["HashMap", "BTreeMap", "IndexMap"].iter().any(|map| name == map);
    let key_of = |ty: &Type| {
        arguments(ty)
            .next()
            .and_then(name)
            .filter(|key| NUMBERS.iter().chain(&["bool"]).any(|known| key == known))
            .cloned()
    };
    match ty {
        Type::Path(_) if name(ty).is_some_and(is_map) && key_of(ty).is_some() => {
            key_of(ty).map(|key| format!("a map with `{key}` keys"))
        }
        Type::Path(_) => arguments(ty).find_map(not_to_be_kept),
        Type::Array(array) => not_to_be_kept(&array.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(not_to_be_kept),
        _ => None,
    }
}

/// Whether this is written without named fields, so that it can't be merged with others.
pub(super) fn has_no_names(ty: &Type) -> bool {
    match ty {
        Type::Array(_) | Type::Slice(_) => true,
        Type::Tuple(tuple) => !tuple.elems.is_empty(),
        Type::Group(group) => has_no_names(&group.elem),
        Type::Paren(paren) => has_no_names(&paren.elem),
        Type::Path(_) => match name(ty) {
            Some(name) if name == "Box" || name == "Arc" || name == "Rc" => arguments(ty).any(has_no_names),
            Some(name) => NUMBERS.iter().chain(NAMELESS).any(|nameless| name == nameless),
            None => false,
        },
        _ => false,
    }
}

/// Whether serde reads this as `None` if it is missing.
pub(super) fn is_option(ty: &Type) -> bool {
    name(ty).is_some_and(|name| name == "Option")
}

/// The type within an `Option`, or the type.
pub(super) fn within_option(ty: &Type) -> &Type {
    if is_option(ty) { arguments(ty).next().unwrap_or(ty) } else { ty }
}

/// Whether this has only one value, so that nothing is lost.
pub(super) fn has_one_value(ty: &Type) -> bool {
    match ty {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        _ => name(ty).is_some_and(|name| name == "PhantomData"),
    }
}

const NUMBERS: &[&str] =
    &["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64"];
const NAMELESS: &[&str] = &["bool", "char", "str", "String", "Vec", "VecDeque", "HashSet", "BTreeSet"];
