//! A table of constants as code: `Field { name: "owner", text: "String", ..FIELD }`, with only the entries that differ
//! from the base.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// A value of a struct of `declared`.
pub(super) struct Table {
    ty: TokenStream,
    entries: Vec<TokenStream>,
}

impl Table {
    /// A value of this type, without entries.
    pub(super) fn new(ty: TokenStream) -> Self {
        Table { ty, entries: Vec::new() }
    }

    /// Another value of this type.
    pub(super) fn like(&self) -> Self {
        Table::new(self.ty.clone())
    }

    pub(super) fn set(&mut self, name: &str, value: TokenStream) {
        self.set_if(&[], name, value);
    }

    /// A value under these conditions, otherwise that of the base.
    pub(super) fn set_if(&mut self, cfgs: &[TokenStream], name: &str, value: TokenStream) {
        let name = Ident::new(name, Span::call_site());
        self.entries.push(quote!(#(#cfgs)* #name: #value));
    }

    /// A text, unless it is empty.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.set(name, quote!(#text));
        }
    }

    /// A list of texts, unless it is empty.
    pub(super) fn texts(&mut self, name: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.set(name, quote!(&[#(#texts),*]));
        }
    }

    /// A value, unless it is the usual one.
    pub(super) fn flag(&mut self, name: &str, value: bool, usual: bool) {
        if value != usual {
            self.set(name, quote!(#value));
        }
    }

    /// The value, with `base` for the entries that are not set.
    pub(super) fn over(self, base: TokenStream) -> TokenStream {
        let Table { ty, entries } = self;
        if entries.is_empty() { base } else { quote!(#ty { #(#entries,)* ..#base }) }
    }
}
