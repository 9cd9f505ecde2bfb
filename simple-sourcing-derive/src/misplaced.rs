//! A `#[serde(...)]` above the macro that adds serde's derives.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, DeriveInput, parse_quote};

use crate::{diagnostics::Errors, symbol::*};

/// The item with the attribute where it belongs, so that nothing else is reported, and the error.
pub(crate) fn serde(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let node: syn::Result<DeriveInput> = syn::parse2(item.clone());
    let macro_of = |attr: &Attribute| {
        let name = attr.path().segments.last()?.ident.to_string();
        [EVENT, COMMAND, AGGREGATE].into_iter().find(|known| *known == name)
    };
    let found = node.ok().and_then(|node| {
        let (at, name) = node.attrs.iter().enumerate().find_map(|(at, attr)| Some((at, macro_of(attr)?)))?;
        Some((node, at, name))
    });
    let Some((mut node, at, name)) = found else {
        errors.at_attribute("the derives of serde read `#[serde(...)]`, so it must be below them: move it there");
        let errors = errors.check().err();
        return quote!(#item #errors);
    };
    let attribute: Attribute = parse_quote!(#[serde(#args)]);
    node.attrs.insert(at + 1, attribute);
    errors
        .at_attribute(format!("`#[{name}]` adds serde's derives, so `#[serde(...)]` must be below it: move it there"));
    let errors = errors.check().err();
    quote!(#node #errors)
}
