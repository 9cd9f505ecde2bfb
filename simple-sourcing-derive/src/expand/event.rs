//! `#[event]`: the event trait, the applier trait and the projector trait.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{
    arguments, bound, described, exact, item, key_type, link, lints, local, method, name_arms, on_unimplemented,
    pattern, place, private,
};
use crate::model::{Event, EventRole, Variant};

pub(crate) fn expand(event: &Event) -> TokenStream {
    [
        item(&event.item),
        described::of_event(event),
        event_impl(event),
        applier(event, event.variants.iter()),
        applied_to(event),
        projector(event, event.variants.iter()),
        projected_by(event),
    ]
    .into_iter()
    .collect()
}

fn event_impl(event: &Event) -> TokenStream {
    let Event { item, aggregate, variants, .. } = event;
    let (ident, key, p) = (&item.node.ident, key_type(event), private(item.root.as_ref()));
    let lints = lints(item, variants);
    let names = name_arms(variants);
    let key = quote_spanned!(place(&key)=> type Key = #key;);
    let table = variants.iter().map(|Variant { cfgs, wire_name, role, .. }| {
        let role = match role {
            EventRole::Create => quote!(Create),
            EventRole::Change => quote!(Change),
            EventRole::Delete => quote!(Delete),
        };
        quote!(#(#cfgs)* #p::EventVariant { name: #wire_name, role: #p::EventRole::#role })
    });
    let exact = exact::exact(item);
    quote! {
        #[automatically_derived]
        #lints
        impl #p::Event for #ident {
            #key

            const AGGREGATE: &'static str = #aggregate;

            const VARIANTS: &'static [#p::EventVariant] = &[#(#table),*];

            #exact

            fn name(&self) -> &'static str {
                match self { #names }
            }
        }
    }
}

/// The applier trait, with the methods of these variants.
pub(crate) fn applier<'a>(event: &Event, variants: impl Iterator<Item = &'a Variant<EventRole>>) -> TokenStream {
    let Event { item, applier, .. } = event;
    let (ident, vis, lints) = (&item.node.ident, &item.node.vis, &item.lints);
    let methods = variants.map(|variant| {
        let documentation = format!(" Applies {}.", link(item, variant));
        let at = place(&variant.node.ident);
        let (own, rest) = match variant.role {
            EventRole::Create => (vec![], quote_spanned!(at=> -> Self;)),
            EventRole::Change => (vec![quote_spanned!(at=> &mut self)], quote_spanned!(at=> ;)),
            EventRole::Delete => return TokenStream::new(),
        };
        method(at, None, variant, &documentation, own, &rest)
    });
    let documentation = format!(
        " How the events of [`{ident}`] change the state of an aggregate: implement it on the aggregate.\n\n \
         There is a method for each event except those that remove the state."
    );
    let message = format!("`{{Self}}` does not apply the events of `{ident}`");
    let on_unimplemented = on_unimplemented(item, &message, applier, "event");
    quote! {
        #[doc = #documentation]
        #on_unimplemented
        #(#lints)*
        #vis trait #applier: ::core::marker::Sized {
            #(#methods)*
        }
    }
}

fn applied_to(event: &Event) -> TokenStream {
    let Event { item, applier, variants, .. } = event;
    let (ident, p) = (&item.node.ident, private(item.root.as_ref()));
    let lints = lints(item, variants);
    let state = local("state");
    let arms = variants.iter().map(|variant| {
        let Variant { node, cfgs, wire_name, method, role, .. } = variant;
        let (name, fields, arguments) = (&node.ident, pattern(variant), bound(variant));
        let arm = match role {
            EventRole::Create => quote! {
                Self::#fields => #p::fill(
                    #p::vacant(#state, #wire_name)?,
                    <__Aggregate as #applier>::#method(#(#arguments),*),
                ),
            },
            EventRole::Change => quote! {
                Self::#fields => <__Aggregate as #applier>::#method(
                    #p::occupied(#state, #wire_name)?,
                    #(#arguments),*
                ),
            },
            EventRole::Delete => quote!(Self::#name { .. } => #p::remove(#state, #wire_name)?,),
        };
        quote!(#(#cfgs)* #arm)
    });
    quote! {
        #[automatically_derived]
        #lints
        impl<__Aggregate: #applier> #p::AppliedTo<__Aggregate> for #ident {
            fn apply_to(
                self,
                #state: &mut ::core::option::Option<__Aggregate>,
            ) -> ::core::result::Result<(), #p::Misapplied> {
                match self { #(#arms)* }
                ::core::result::Result::Ok(())
            }
        }
    }
}

/// The projector trait, with the methods of these variants.
pub(crate) fn projector<'a>(event: &Event, variants: impl Iterator<Item = &'a Variant<EventRole>>) -> TokenStream {
    let Event { item, projector, .. } = event;
    let (ident, vis, key, p) = (&item.node.ident, &item.node.vis, key_type(event), private(item.root.as_ref()));
    let lints = lints(item, &event.variants);
    let methods = variants.map(|variant| {
        let documentation = format!(" Projects {}; does nothing by default.", link(item, variant));
        let (meta, arguments) = (variant.free_name("meta"), arguments(variant));
        let at = place(&variant.node.ident);
        let own = vec![quote_spanned!(at=> &mut self), quote_spanned!(at=> #meta: &#p::EventMeta<#key>)];
        let body = quote_spanned!(at=> { let _ = (#meta, #(#arguments),*); });
        method(at, None, variant, &documentation, own, &body)
    });
    let documentation = format!(
        " What a view makes of the events of [`{ident}`]: implement it on the view.\n\n \
         There is a method for each event, which does nothing by default."
    );
    let message = format!("`{{Self}}` does not project the events of `{ident}`");
    let on_unimplemented = on_unimplemented(item, &message, projector, "event that it projects");
    quote! {
        #[doc = #documentation]
        #on_unimplemented
        #lints
        #vis trait #projector {
            #(#methods)*
        }
    }
}

fn projected_by(event: &Event) -> TokenStream {
    let Event { item, projector, variants, .. } = event;
    let (ident, key, p) = (&item.node.ident, key_type(event), private(item.root.as_ref()));
    let lints = lints(item, variants);
    let (view, meta) = (local("projector"), local("meta"));
    let arms = variants.iter().map(|variant| {
        let Variant { cfgs, method, .. } = variant;
        let (fields, arguments) = (pattern(variant), bound(variant));
        quote!(#(#cfgs)* Self::#fields => <__Projector as #projector>::#method(#view, #meta, #(#arguments),*),)
    });
    quote! {
        #[automatically_derived]
        #lints
        impl<__Projector: #projector> #p::ProjectedBy<__Projector> for #ident {
            fn project_into(self, #view: &mut __Projector, #meta: &#p::EventMeta<#key>) {
                match self { #(#arms)* }
            }
        }
    }
}
