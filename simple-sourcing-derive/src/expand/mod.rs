//! Turns the model into code.
//!
//! The code is data-like: implementations and tables. Whatever is worth a breakpoint is a function in
//! `simple_sourcing::__private`. Our own local names are `mixed_site`, so that they can't clash with a field of the
//! user.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Fields, Visibility, ext::IdentExt, spanned::Spanned};

use crate::{
    carried,
    model::{Derive, Event, Field, Item, Variant},
    parse::Root,
    symbol::DEPRECATED,
};

pub(crate) mod aggregate;
pub(crate) mod command;
pub(crate) mod described;
pub(crate) mod event;
mod exact;
pub(crate) mod key;
pub(crate) mod projection;
mod shape;
mod table;

/// The module in which all names of the expansion are found.
pub(crate) fn private(root: Option<&Root>) -> TokenStream {
    match root {
        Some(Root { path, .. }) => quote!(#path::__private),
        None => quote!(::simple_sourcing::__private),
    }
}

/// The user's item with the missing derives.
pub(crate) fn item(item: &Item) -> TokenStream {
    let Item { node, root, derives, serde_crate, .. } = item;
    let private = private(root.as_ref());
    let derives = derives.iter().map(|derive| match derive {
        Derive::Debug => quote!(::core::fmt::Debug),
        Derive::Clone => quote!(::core::clone::Clone),
        Derive::PartialEq => quote!(::core::cmp::PartialEq),
        Derive::Serialize => quote!(#private::serde::Serialize),
        Derive::Deserialize => quote!(#private::serde::Deserialize),
    });
    let serde_crate = serde_crate.then(|| {
        let root = root.as_ref().map_or_else(|| "::simple_sourcing".to_owned(), |root| root.text.value());
        let path = format!("{root}::__private::serde");
        quote!(#[serde(crate = #path)])
    });
    let derives: Vec<TokenStream> = derives.collect();
    let derive = (!derives.is_empty()).then(|| quote!(#[derive(#(#derives),*)]));
    quote! {
        #derive
        #serde_crate
        #node
    }
}

/// The type of the key, or, if it is unknown, one that lets the rest type-check.
pub(crate) fn key_type(event: &Event) -> TokenStream {
    let p = private(event.item.root.as_ref());
    event.key.as_ref().map_or_else(|| quote!(#p::String), ToTokens::to_token_stream)
}

/// A local name of the expansion. Hygiene separates it from the user's names, except from constants: a pattern with the
/// name of a constant would match its value, so it gets a name that no constant has.
fn local(name: &str) -> Ident {
    format_ident!("__{name}", span = Span::mixed_site())
}

/// The location of the user's tokens, for code about them: errors in it, and "go to definition", lead there.
fn place(tokens: &impl Spanned) -> Span {
    Span::call_site().located_at(tokens.span())
}

/// The fields as parameters: `owner: String`, `amount: u64`.
fn parameters<R>(variant: &Variant<R>) -> impl Iterator<Item = TokenStream> {
    variant.fields.iter().map(|Field { cfgs, name, ty }| quote!(#(#cfgs)* #name: #ty))
}

/// The fields as arguments: `owner`, `amount`.
fn arguments<R>(variant: &Variant<R>) -> impl Iterator<Item = TokenStream> {
    variant.fields.iter().map(|Field { cfgs, name, .. }| quote!(#(#cfgs)* #name))
}

/// A method of a variant: its own parameters, then the fields, then what follows the parameters.
fn method<R>(
    at: Span,
    vis: Option<&Visibility>,
    variant: &Variant<R>,
    documentation: &str,
    own: Vec<TokenStream>,
    rest: &TokenStream,
) -> TokenStream {
    let Variant { node, method, docs, cfgs, deprecated, lints, .. } = variant;
    let ours = (!carried::has_text(&node.attrs)).then(|| quote!(#[doc = #documentation]));
    let parameters: Vec<TokenStream> = own.into_iter().chain(parameters(variant)).collect();
    // clippy's limit. The number of fields is up to the user, and clippy doesn't limit it.
    let many = (parameters.len() > 7).then(|| quote!(#[allow(clippy::too_many_arguments)]));
    quote_spanned! {at=>
        #ours
        #(#docs)*
        #(#cfgs)*
        #(#deprecated)*
        #many
        #(#lints)*
        #vis fn #method(#(#parameters),*) #rest
    }
}

/// The variant with its fields as an expression: `Opened { owner, amount }`.
fn with_fields<R>(variant: &Variant<R>) -> TokenStream {
    let ident = &variant.node.ident;
    let fields = arguments(variant);
    match variant.node.fields {
        Fields::Named(_) => quote!(#ident { #(#fields),* }),
        Fields::Unnamed(_) => quote!(#ident(#(#fields),*)),
        Fields::Unit => quote!(#ident),
    }
}

/// The variant as a pattern: `Opened { owner: owner_, amount: amount_ }`. It doesn't bind the names of the fields, for
/// the same reason as [`local`].
fn pattern<R>(variant: &Variant<R>) -> TokenStream {
    let ident = &variant.node.ident;
    let fields = variant.fields.iter().zip(bindings(variant));
    match variant.node.fields {
        Fields::Named(_) => {
            let fields = fields.map(|(Field { cfgs, name, .. }, binding)| quote!(#(#cfgs)* #name: #binding));
            quote!(#ident { #(#fields),* })
        }
        Fields::Unnamed(_) => {
            let bindings = bindings(variant);
            quote!(#ident(#(#bindings),*))
        }
        Fields::Unit => quote!(#ident),
    }
}

/// The names that [`pattern`] binds, as arguments: `owner_`, `amount_`.
fn bound<R>(variant: &Variant<R>) -> impl Iterator<Item = TokenStream> {
    variant.fields.iter().zip(bindings(variant)).map(|(Field { cfgs, .. }, binding)| quote!(#(#cfgs)* #binding))
}

fn bindings<R>(variant: &Variant<R>) -> impl Iterator<Item = Ident> {
    variant.fields.iter().map(|field| format_ident!("{}_", field.name.unraw(), span = Span::call_site()))
}

/// The error message for a missing implementation of a generated trait. `diagnostic` is a name of the prelude.
fn on_unimplemented(item: &Item, message: &str, the_trait: &Ident, methods: &str) -> Option<TokenStream> {
    let label = format!("needs `impl {the_trait} for {{Self}}`");
    let note = format!("write `impl {the_trait} for {{Self}}` with a method for each {methods}");
    (!item.no_implicit_prelude)
        .then(|| quote!(#[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]))
}

/// The arms of `name`: `Self::Opened { .. } => "Opened",`.
fn name_arms<R>(variants: &[Variant<R>]) -> TokenStream {
    let arms = variants.iter().map(|Variant { node, cfgs, wire_name, .. }| {
        let ident = &node.ident;
        quote!(#(#cfgs)* Self::#ident { .. } => #wire_name,)
    });
    arms.collect()
}

/// The lint levels for generated code: those of the user's item, and `allow(deprecated)` if the user deprecated a part
/// of it.
fn lints<R>(item: &Item, variants: &[Variant<R>]) -> TokenStream {
    let of_fields = variants.iter().flat_map(|variant| variant.node.fields.iter().map(|field| &field.attrs));
    let of_variants = variants.iter().map(|variant| &variant.node.attrs);
    let mut attrs = of_fields.chain(of_variants).chain([&item.node.attrs]);
    let is_deprecated = attrs.any(|attrs| !carried::named(attrs, &[DEPRECATED]).is_empty());
    let deprecated = is_deprecated.then(|| quote!(#[allow(deprecated)]));
    let lints = &item.lints;
    quote!(#(#lints)* #deprecated)
}

/// The name of a variant in documentation, linked.
fn link<R>(item: &Item, variant: &Variant<R>) -> String {
    format!("[`{item}::{variant}`]", item = item.node.ident, variant = variant.node.ident)
}
