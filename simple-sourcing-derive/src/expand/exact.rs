//! Whether every value is read back from JSON unchanged. If so, the engine does not need to try.
//!
//! It depends on the types of the fields, which macros don't see. So the expansion asks each of them:
//! `IsExact::<T>::__SIMPLE_SOURCING_EXACT` is true if `T` is known to be exact. Otherwise it is that of the trait
//! `Unknown`, which is false.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, Fields};

use super::private;
use crate::{
    model::Item,
    parse::serde_words,
    symbol::{ALIAS, DESERIALIZE_DERIVE, PARTIAL_EQ, RENAME, RENAME_ALL, RENAME_ALL_FIELDS, SERDE, SERIALIZE_DERIVE},
};

/// Attributes that don't affect what is written.
const INERT: [&str; 11] = [
    "doc",
    "derive",
    "allow",
    "warn",
    "expect",
    "deny",
    "forbid",
    "deprecated",
    "must_use",
    "non_exhaustive",
    "automatically_derived",
];

/// Words of serde that only change names.
const NAMES: [&str; 5] = [RENAME, RENAME_ALL, RENAME_ALL_FIELDS, ALIAS, "crate"];

/// `const EXACT`, if anything can be known.
pub(super) fn exact(item: &Item) -> Option<TokenStream> {
    let by_hand = [SERIALIZE_DERIVE, DESERIALIZE_DERIVE, PARTIAL_EQ];
    if by_hand.iter().any(|derive| item.manual.contains(derive)) || !is_inert(&item.node.attrs) {
        return None;
    }
    let groups: Vec<&Fields> = match &item.node.data {
        Data::Struct(data) => vec![&data.fields],
        Data::Enum(data) if data.variants.iter().all(|variant| is_inert(&variant.attrs)) => {
            data.variants.iter().map(|variant| &variant.fields).collect()
        }
        _ => return None,
    };
    let fields: Vec<_> = groups.into_iter().flatten().collect();
    if !fields.iter().all(|field| is_inert(&field.attrs)) {
        return None;
    }
    let (types, p) = (fields.iter().map(|field| &field.ty), private(item.root.as_ref()));
    Some(quote! {
        const EXACT: bool = {
            #[allow(unused_imports)]
            use #p::Unknown as _;
            true #(&& #p::IsExact::<#types>::__SIMPLE_SOURCING_EXACT)*
        };
    })
}

fn is_inert(attrs: &[Attribute]) -> bool {
    let is_known =
        |attr: &Attribute| attr.path().is_ident(SERDE) || INERT.iter().any(|inert| attr.path().is_ident(inert));
    attrs.iter().all(is_known) && serde_words(attrs).iter().all(|meta| NAMES.contains(&meta.word.as_str()))
}
