//! `#[projection]`: the name, the version and the events of a projection.

use proc_macro2::TokenStream;
use quote::quote;

use super::private;
use crate::model::Projection;

pub(crate) fn expand(projection: &Projection) -> TokenStream {
    let Projection { node, root, events, version, name, .. } = projection;
    let (ident, p) = (&node.ident, private(root.as_ref()));
    let bounds = events.iter().map(|event| quote!(#event: #p::ProjectedIn<__Store, #ident>));
    let aggregates = events.iter().map(|event| quote!(<#event as #p::Event>::AGGREGATE));
    let arms = events.iter().map(|event| {
        quote! {
            if __batch.aggregate() == <#event as #p::Event>::AGGREGATE {
                return #p::project_batch::<__Store, #event, Self>(self, __connection, __batch);
            }
        }
    });
    quote! {
        #node

        #[automatically_derived]
        impl<__Store: #p::Store> #p::Projection<__Store> for #ident
        where
            #(#bounds,)*
        {
            fn name(&self) -> &str {
                #name
            }

            fn version(&self) -> u32 {
                #version
            }

            fn aggregates(&self) -> &[&'static str] {
                const { &[#(#aggregates),*] }
            }

            fn project<'a>(
                &'a self,
                __connection: &'a mut __Store::Connection,
                __batch: &'a #p::Batch,
            ) -> #p::Projected<'a, __Store> {
                #(#arms)*
                #p::nothing_to_project::<__Store>()
            }
        }
    }
}
