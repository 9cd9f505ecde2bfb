//! `#[command]`: the command trait, the handler trait, and the typed client.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    bound, described, exact, item, link, lints, local, method, name_arms, on_unimplemented, pattern, place, private,
    with_fields,
};
use crate::model::{Command, CommandRole, Expected, Variant};

pub(crate) fn expand(command: &Command) -> TokenStream {
    [
        item(&command.item),
        described::of_command(command),
        command_impl(command),
        handler(command, command.variants.iter()),
        handled_by(command),
        client(command, command.variants.iter()),
    ]
    .into_iter()
    .collect()
}

/// The type of the key: that of the events.
fn key(command: &Command) -> TokenStream {
    let (event, p) = (&command.event, private(command.item.root.as_ref()));
    quote!(<#event as #p::Event>::Key)
}

fn command_impl(command: &Command) -> TokenStream {
    let Command { item, event, error, variants, .. } = command;
    let (ident, p) = (&item.node.ident, private(item.root.as_ref()));
    let lints = lints(item, variants);
    let names = name_arms(variants);
    let event = quote_spanned!(place(event)=> type Event = #event;);
    let error = quote_spanned!(place(error)=> type Error = #error;);
    let table = variants.iter().map(|Variant { cfgs, wire_name, role, .. }| {
        let role = match role.state {
            Expected::Absent => quote!(Create),
            Expected::Present => quote!(Update),
            Expected::Either => quote!(Upsert),
        };
        quote!(#(#cfgs)* #p::CommandVariant { name: #wire_name, role: #p::CommandRole::#role })
    });
    let exact = exact::exact(item);
    quote! {
        #[automatically_derived]
        #lints
        impl #p::Command for #ident {
            #event
            #error

            const VARIANTS: &'static [#p::CommandVariant] = &[#(#table),*];

            #exact

            fn name(&self) -> &'static str {
                match self { #names }
            }
        }
    }
}

/// The handler trait, with the methods of these variants.
pub(crate) fn handler<'a>(command: &Command, variants: impl Iterator<Item = &'a Variant<CommandRole>>) -> TokenStream {
    let Command { item, event, error, handler, .. } = command;
    let lints = &item.lints;
    let (ident, vis, key, p) = (&item.node.ident, &item.node.vis, key(command), private(item.root.as_ref()));
    let methods = variants.map(|variant| {
        let documentation = format!(" Decides {}.", link(item, variant));
        let at = place(&variant.node.ident);
        let output = quote_spanned!(at=> -> ::core::result::Result<#p::Accepted<#event>, #error>;);
        let state = match variant.role.state {
            Expected::Absent => None,
            Expected::Present => Some(quote_spanned!(at=> &self)),
            Expected::Either => {
                let this = variant.free_name("this");
                Some(quote_spanned!(at=> #this: ::core::option::Option<&Self>))
            }
        };
        let context = variant.role.context.then(|| {
            let context = variant.free_name("context");
            quote_spanned!(at=> #context: &#p::Context<#key>)
        });
        method(at, None, variant, &documentation, state.into_iter().chain(context).collect(), &output)
    });
    let documentation = format!(
        " How the commands of [`{ident}`] are decided: implement it on the aggregate.\n\n \
         There is a method for each command. It accepts the command with events, or rejects it with an error; it has no \
         clock, no randomness and no I/O, so that a replay gives the same result."
    );
    let message = format!("`{{Self}}` does not handle the commands of `{ident}`");
    let on_unimplemented = on_unimplemented(item, &message, handler, "command");
    quote! {
        #[doc = #documentation]
        #on_unimplemented
        #(#lints)*
        #vis trait #handler: ::core::marker::Sized {
            #(#methods)*
        }
    }
}

fn handled_by(command: &Command) -> TokenStream {
    let Command { item, event, error, handler, variants, .. } = command;
    let (ident, key, p) = (&item.node.ident, key(command), private(item.root.as_ref()));
    let lints = lints(item, variants);
    let (state, context) = (local("state"), local("context"));
    let arms = variants.iter().map(|variant| dispatch(variant, handler, &state, &context, &p));
    quote! {
        #[automatically_derived]
        #lints
        impl<__Aggregate: #handler> #p::HandledBy<__Aggregate> for #ident {
            fn handle(
                self,
                #state: ::core::option::Option<&__Aggregate>,
                #context: &#p::Context<#key>,
            ) -> ::core::result::Result<#p::Accepted<#event>, #p::NotAccepted<#error>> {
                #p::decided(match self { #(#arms)* })
            }
        }
    }
}

/// The arm of a command: checks for the state that it expects, and calls the handler's method.
fn dispatch(
    variant: &Variant<CommandRole>,
    handler: &Ident,
    state: &Ident,
    context: &Ident,
    p: &TokenStream,
) -> TokenStream {
    let Variant { cfgs, method, role, .. } = variant;
    let (fields, arguments) = (pattern(variant), bound(variant));
    let context = role.context.then(|| quote!(#context));
    let found = match role.state {
        Expected::Absent => None,
        Expected::Present => Some(quote!(#p::found(#state)?)),
        Expected::Either => Some(quote!(#state)),
    };
    let arguments = found.into_iter().chain(context).chain(arguments);
    let call = quote!(<__Aggregate as #handler>::#method(#(#arguments),*));
    match role.state {
        Expected::Absent => quote! {
            #(#cfgs)*
            Self::#fields => {
                #p::not_found(#state)?;
                #call
            }
        },
        _ => quote!(#(#cfgs)* Self::#fields => #call,),
    }
}

/// The typed client, with the methods of these variants.
pub(crate) fn client<'a>(command: &Command, variants: impl Iterator<Item = &'a Variant<CommandRole>>) -> TokenStream {
    let Command { item, client, .. } = command;
    let (ident, vis, key, p) = (&item.node.ident, &item.node.vis, key(command), private(item.root.as_ref()));
    let (of_item, lints) = (&item.lints, lints(item, &command.variants));
    let methods = variants.map(|variant| {
        let documentation = format!(" Sends {}.", link(item, variant));
        let (name, fields) = (variant.free_name("key"), with_fields(variant));
        let own = vec![quote!(&self), quote!(#name: impl ::core::convert::Into<#key>)];
        let body = quote!(-> #p::Call<#ident> { self.0.send(#name, #ident::#fields) });
        // All methods have one location, the attribute, so that an `event` without a key is reported once and not for
        // each method.
        method(Span::call_site(), Some(vis), variant, &documentation, own, &body)
    });
    let documentation =
        format!(" Sends the commands of [`{ident}`]: a method for each. Derefs to the untyped client, for `outcome`.");
    quote! {
        #[doc = #documentation]
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        #(#of_item)*
        #vis struct #client(#p::Client<#ident>);

        #[automatically_derived]
        #(#of_item)*
        impl #p::TypedClient for #client {
            type Command = #ident;

            fn new(client: #p::Client<#ident>) -> Self {
                Self(client)
            }
        }

        #[automatically_derived]
        #(#of_item)*
        impl ::core::ops::Deref for #client {
            type Target = #p::Client<#ident>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        // Within another macro the compiler takes the methods for the user's own, and some may be unused.
        #[allow(dead_code, clippy::impl_trait_in_params)]
        #lints
        impl #client {
            #(#methods)*
        }
    }
}
