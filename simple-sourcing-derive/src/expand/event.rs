//! `#[event]`: the event trait, the applier trait and the projector trait.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    arguments, bound, described, exact, item, key_type, link, lints, local, method, name_arms, on_unimplemented,
    pattern, place, private,
};
use crate::{
    model::{Event, EventRole, Variant},
    symbol::EVENTS,
};

pub(crate) fn expand(event: &Event) -> TokenStream {
    [
        item(&event.item),
        described::of_event(event),
        event_impl(event),
        applier(event, event.variants.iter()),
        applied_to(event),
        projector(event, event.variants.iter()),
        projected_by(event),
        projection(event, event.variants.iter()),
        projected_in(event),
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

/// The method of the projection trait that takes a whole batch. Where an event has a method of that name, it gets another.
fn batch_method(event: &Event) -> Ident {
    let is_taken = event.variants.iter().any(|variant| variant.method == EVENTS);
    Ident::new(if is_taken { "all_events" } else { EVENTS }, Span::call_site())
}

/// The projection trait, with the methods of these variants.
pub(crate) fn projection<'a>(event: &Event, variants: impl Iterator<Item = &'a Variant<EventRole>>) -> TokenStream {
    let Event { item, projection, .. } = event;
    let (ident, vis, key, p) = (&item.node.ident, &item.node.vis, key_type(event), private(item.root.as_ref()));
    let lints = lints(item, &event.variants);
    let done = quote!(-> impl ::core::future::Future<
        Output = ::core::result::Result<(), __Store::Error>,
    > + ::core::marker::Send);
    let methods = variants.map(|variant| {
        let documentation = format!(" Writes what {} changes; nothing unless it is written.", link(item, variant));
        let (connection, meta) = (variant.free_name("connection"), variant.free_name("meta"));
        let arguments = arguments(variant);
        let at = place(&variant.node.ident);
        let own = vec![
            quote_spanned!(at=> &self),
            quote_spanned!(at=> #connection: &mut __Store::Connection),
            quote_spanned!(at=> #meta: &#p::EventMeta<#key>),
        ];
        let body = quote_spanned! {at=>
            #done {
                let _ = (#connection, #meta, #(#arguments),*);
                #p::done::<__Store>()
            }
        };
        method(at, None, variant, &documentation, own, &body)
    });
    let documentation = format!(
        " What a projection writes for the events of [`{ident}`]: implement it, for a store, on a type with \
         `#[projection]`.\n\n There is a method for each event; those that are not written do nothing."
    );
    let message = format!("`{{Self}}` does not project the events of `{ident}` into `{{__Store}}`");
    let on_unimplemented = on_unimplemented(item, &message, projection, "event that it is about");
    let batch = batch_method(event);
    quote! {
        #[doc = #documentation]
        #on_unimplemented
        #lints
        #vis trait #projection<__Store: #p::Store>: ::core::marker::Sized + ::core::marker::Sync {
            #(#methods)*

            /// Writes what these events change, in this order. By default it calls the method of each; write it to write
            /// many rows at once.
            fn #batch(
                &self,
                connection: &mut __Store::Connection,
                events: #p::Vec<#p::Recorded<#ident>>,
            ) #done {
                #p::one_by_one::<__Store, #ident, Self>(self, connection, events)
            }
        }
    }
}

fn projected_in(event: &Event) -> TokenStream {
    let Event { item, projection, variants, .. } = event;
    let (ident, key, p) = (&item.node.ident, key_type(event), private(item.root.as_ref()));
    let lints = lints(item, variants);
    let (rows, connection, meta) = (local("projection"), local("connection"), local("meta"));
    let batch = batch_method(event);
    let arms = variants.iter().map(|variant| {
        let Variant { cfgs, method, .. } = variant;
        let (fields, arguments) = (pattern(variant), bound(variant));
        quote! {
            #(#cfgs)*
            Self::#fields => {
                <__Projection as #projection<__Store>>::#method(#rows, #connection, #meta, #(#arguments),*).await
            }
        }
    });
    quote! {
        #[automatically_derived]
        #lints
        impl<__Store: #p::Store, __Projection: #projection<__Store>> #p::ProjectedIn<__Store, __Projection> for #ident {
            async fn project_in(
                self,
                #rows: &__Projection,
                #connection: &mut __Store::Connection,
                #meta: &#p::EventMeta<#key>,
            ) -> ::core::result::Result<(), __Store::Error> {
                match self { #(#arms)* }
            }

            async fn project_all_in(
                #rows: &__Projection,
                #connection: &mut __Store::Connection,
                events: #p::Vec<#p::Recorded<Self>>,
            ) -> ::core::result::Result<(), __Store::Error> {
                <__Projection as #projection<__Store>>::#batch(#rows, #connection, events).await
            }
        }
    }
}
