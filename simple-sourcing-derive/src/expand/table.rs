//! A table of constants as code: `Field { name: "owner", text: "String", ..FIELD }`, with what differs from the last alone.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// A value of a struct of `declared`.
pub(super) struct Table {
    ty: TokenStream,
    entries: Vec<TokenStream>,
}

impl Table {
    /// A value of this type, of which nothing is said yet.
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

    /// A value that is there under these conditions, else that of the base.
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

    /// A value that most of them don't have.
    pub(super) fn flag(&mut self, name: &str, value: bool, usual: bool) {
        if value != usual {
            self.set(name, quote!(#value));
        }
    }

    /// The value: what was not said is as in `base`.
    pub(super) fn over(self, base: TokenStream) -> TokenStream {
        let Table { ty, entries } = self;
        if entries.is_empty() { base } else { quote!(#ty { #(#entries,)* ..#base }) }
    }
}
