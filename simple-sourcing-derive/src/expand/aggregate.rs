//! `#[aggregate]`: ties a state to its commands.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{item, place, private};
use crate::model::Aggregate;

pub(crate) fn expand(aggregate: &Aggregate) -> TokenStream {
    let Aggregate { item: node, command, .. } = aggregate;
    let (ident, p) = (&node.node.ident, private(node.root.as_ref()));
    let item = item(node);
    // A missing handler or applier is reported where `command` stands here: in the user's attribute.
    let command = quote_spanned!(place(command)=> type Command = #command;);
    quote! {
        #item

        #[automatically_derived]
        impl #p::Aggregate for #ident {
            #command
        }
    }
}
