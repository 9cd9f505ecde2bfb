//! `#[derive(Key)]`: the key of a newtype is that of its field.

use proc_macro2::TokenStream;
use quote::quote;

use super::private;
use crate::model::Key;

pub(crate) fn expand(key: &Key) -> TokenStream {
    let Some((member, ty)) = &key.field else { return TokenStream::new() };
    let (ident, p) = (&key.node.ident, private(key.root.as_ref()));
    quote! {
        #[automatically_derived]
        impl #p::Key for #ident {
            fn to_text(&self) -> #p::String {
                <#ty as #p::Key>::to_text(&self.#member)
            }

            fn from_text(text: &str) -> ::core::result::Result<Self, #p::KeyError> {
                ::core::result::Result::Ok(Self { #member: <#ty as #p::Key>::from_text(text)? })
            }
        }
    }
}
