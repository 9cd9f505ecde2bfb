//! `#[aggregate]`: ties a state to its commands.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{described, exact, item, place, private};
use crate::model::Aggregate;

pub(crate) fn expand(aggregate: &Aggregate) -> TokenStream {
    [item(&aggregate.item), described::of_aggregate(aggregate), aggregate_impl(aggregate)].into_iter().collect()
}

pub(crate) fn aggregate_impl(aggregate: &Aggregate) -> TokenStream {
    let Aggregate { item, command, .. } = aggregate;
    let (ident, lints, p) = (&item.node.ident, &item.lints, private(item.root.as_ref()));
    let exact = exact::exact(item);
    // A missing handler or applier is reported at the location of this `command`: in the user's attribute.
    let command = quote_spanned!(place(command)=> type Command = #command;);
    quote! {
        #[automatically_derived]
        #(#lints)*
        impl #p::Aggregate for #ident {
            #command

            #exact
        }
    }
}
