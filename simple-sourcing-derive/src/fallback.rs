//! What is generated after a mistake: the user's item, the generated items as far as their names are known, and the
//! errors.
//!
//! The stubs do nothing. They let the rest of the program type-check, so that the user sees only the real mistakes and
//! completion keeps working in the editor. A union or a generic item gets none.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, Data, ext::IdentExt};

use crate::{
    diagnostics::Errors,
    expand::{self, private},
    model::{Aggregate, Command, Derive, Described, Event, Item, Key, Projection, Variant},
    parse::conditional,
    symbol::SERDE,
    validate,
};

/// For an item that the macros can't parse: it is returned unchanged.
pub(crate) fn unreadable(item: TokenStream, error: syn::Error, mut errors: Errors) -> TokenStream {
    errors.push(error);
    let errors = errors.check().err();
    quote!(#item #errors)
}

pub(crate) fn event(mut event: Event, errors: &TokenStream) -> TokenStream {
    if !has_stubs(&event.item) {
        return bare(&event.item, errors);
    }
    rename_repeated(&event.item, [&mut event.applier, &mut event.projector, &mut event.projection]);
    let item = item(&event.item);
    let applier_trait = expand::event::applier(&event, first_of_each_name(&event.variants));
    let projector_trait = expand::event::projector(&event, first_of_each_name(&event.variants));
    let projection_trait = expand::event::projection(&event, first_of_each_name(&event.variants));
    let Event { item: Item { node, root, .. }, aggregate, applier, projector, projection, .. } = &event;
    let (ident, key, p) = (&node.ident, expand::key_type(&event), private(root.as_ref()));
    let described = expand::described::stub(node, root.as_ref());
    quote! {
        #item
        #described
        #applier_trait
        #projector_trait
        #projection_trait
        impl #p::Event for #ident {
            type Key = #key;
            const AGGREGATE: &'static str = #aggregate;
            const VARIANTS: &'static [#p::EventVariant] = &[];
            fn name(&self) -> &'static str {
                ""
            }
        }
        impl<__Aggregate: #applier> #p::AppliedTo<__Aggregate> for #ident {
            fn apply_to(
                self,
                _: &mut ::core::option::Option<__Aggregate>,
            ) -> ::core::result::Result<(), #p::Misapplied> {
                ::core::result::Result::Ok(())
            }
        }
        impl<__Projector: #projector> #p::ProjectedBy<__Projector> for #ident {
            fn project_into(self, _: &mut __Projector, _: &#p::EventMeta<#key>) {}
        }
        impl<__Store: #p::Store, __Projection: #projection<__Store>> #p::ProjectedIn<__Store, __Projection> for #ident {
            async fn project_in(
                self,
                _: &__Projection,
                _: &mut __Store::Connection,
                _: &#p::EventMeta<#key>,
            ) -> ::core::result::Result<(), __Store::Error> {
                ::core::result::Result::Ok(())
            }
            async fn project_all_in(
                _: &__Projection,
                _: &mut __Store::Connection,
                _: #p::Vec<#p::Recorded<Self>>,
            ) -> ::core::result::Result<(), __Store::Error> {
                ::core::result::Result::Ok(())
            }
        }
        #errors
    }
}

pub(crate) fn command(mut command: Command, errors: &TokenStream) -> TokenStream {
    if !has_stubs(&command.item) {
        return bare(&command.item, errors);
    }
    rename_repeated(&command.item, [&mut command.handler, &mut command.client]);
    let item = item(&command.item);
    let handler_trait = expand::command::handler(&command, first_of_each_name(&command.variants));
    let client_struct = expand::command::client(&command, first_of_each_name(&command.variants));
    let Command { item: Item { node, root, .. }, event, error, handler, .. } = &command;
    let (ident, p) = (&node.ident, private(root.as_ref()));
    let described = expand::described::stub(node, root.as_ref());
    quote! {
        #item
        #described
        #handler_trait
        #client_struct
        impl #p::Command for #ident {
            type Event = #event;
            type Error = #error;
            const VARIANTS: &'static [#p::CommandVariant] = &[];
            fn name(&self) -> &'static str {
                ""
            }
        }
        impl<__Aggregate: #handler> #p::HandledBy<__Aggregate> for #ident {
            fn handle(
                self,
                _: ::core::option::Option<&__Aggregate>,
                _: &#p::Context<<#event as #p::Event>::Key>,
            ) -> ::core::result::Result<#p::Accepted<#event>, #p::NotAccepted<#error>> {
                ::core::result::Result::Err(#p::NotAccepted::NotFound)
            }
        }
        #errors
    }
}

pub(crate) fn aggregate(aggregate: &Aggregate, errors: &TokenStream) -> TokenStream {
    if !has_stubs(&aggregate.item) {
        return bare(&aggregate.item, errors);
    }
    let (item, implementation) = (item(&aggregate.item), expand::aggregate::aggregate_impl(aggregate));
    let described = expand::described::stub(&aggregate.item.node, aggregate.item.root.as_ref());
    quote!(#item #described #implementation #errors)
}

pub(crate) fn projection(projection: &Projection, errors: &TokenStream) -> TokenStream {
    let Projection { node, root, .. } = projection;
    let (ident, p) = (&node.ident, private(root.as_ref()));
    let stub = node.generics.params.is_empty().then(|| {
        quote! {
            impl<__Store: #p::Store> #p::Projection<__Store> for #ident {
                fn name(&self) -> &str {
                    ""
                }
                fn version(&self) -> u32 {
                    1
                }
                fn aggregates(&self) -> &[&'static str] {
                    &[]
                }
                fn project<'a>(
                    &'a self,
                    _: &'a mut __Store::Connection,
                    _: &'a #p::Batch,
                ) -> #p::Projected<'a, __Store> {
                    #p::nothing_to_project::<__Store>()
                }
            }
        }
    });
    quote!(#node #stub #errors)
}

pub(crate) fn key(key: &Key, errors: &TokenStream) -> TokenStream {
    let (ident, p) = (&key.node.ident, private(key.root.as_ref()));
    let stub = key.node.generics.params.is_empty().then(|| {
        quote! {
            impl #p::Key for #ident {
                fn to_text(&self) -> #p::String {
                    #p::String::new()
                }
                fn from_text(text: &str) -> ::core::result::Result<Self, #p::KeyError> {
                    ::core::result::Result::Err(#p::KeyError::new::<Self>(text, ""))
                }
            }
        }
    });
    quote!(#stub #errors)
}

pub(crate) fn described(described: &Described, errors: &TokenStream) -> TokenStream {
    let Described { node, root } = described;
    let stub = node.generics.lifetimes().next().is_none().then(|| expand::described::stub(node, root.as_ref()));
    quote!(#stub #errors)
}

/// Whether stubs can be generated without errors of their own.
fn has_stubs(item: &Item) -> bool {
    let generics = &item.node.generics;
    generics.params.is_empty() && generics.where_clause.is_none() && !matches!(item.node.data, Data::Union(_))
}

/// The item with its derives. Where serde's derives would report the same mistake again, it gets stubs of their traits.
fn item(item: &Item) -> TokenStream {
    let mut errors = Errors::default();
    validate::round_trip(item, &mut errors);
    if item.references.is_empty() && errors.check().is_ok() {
        return expand::item(item);
    }
    let Item { mut node, root, .. } = item.clone();
    let (ident, p) = (node.ident.clone(), private(root.as_ref()));
    remove_serde(&mut node.attrs);
    if let Data::Enum(data) = &mut node.data {
        data.variants.iter_mut().for_each(|variant| remove_serde(&mut variant.attrs));
    }
    for field in fields(&mut node.data) {
        remove_serde(&mut field.attrs);
    }
    let stubs = item.derives.iter().map(|derive| match derive {
        Derive::Serialize => quote! {
            impl #p::serde::Serialize for #ident {
                fn serialize<S: #p::serde::Serializer>(&self, to: S) -> ::core::result::Result<S::Ok, S::Error> {
                    <S as #p::serde::Serializer>::serialize_unit(to)
                }
            }
        },
        Derive::Deserialize => quote! {
            impl<'de> #p::serde::Deserialize<'de> for #ident {
                fn deserialize<D: #p::serde::Deserializer<'de>>(_: D) -> ::core::result::Result<Self, D::Error> {
                    ::core::result::Result::Err(<D::Error as #p::serde::de::Error>::custom(""))
                }
            }
        },
        _ => TokenStream::new(),
    });
    let derives = item.derives.iter().copied().filter(|derive| !derive.is_of_serde()).collect();
    let item = expand::item(&Item { node, derives, serde_crate: false, ..item.clone() });
    quote!(#item #(#stubs)*)
}

fn fields(data: &mut Data) -> Vec<&mut syn::Field> {
    match data {
        Data::Struct(data) => data.fields.iter_mut().collect(),
        Data::Enum(data) => data.variants.iter_mut().flat_map(|variant| variant.fields.iter_mut()).collect(),
        Data::Union(_) => Vec::new(),
    }
}

fn remove_serde(attrs: &mut Vec<Attribute>) {
    let is_of_serde = |attr: &Attribute| {
        attr.path().is_ident(SERDE) || conditional(attr).iter().any(|meta| meta.path().is_ident(SERDE))
    };
    attrs.retain(|attr| !is_of_serde(attr));
}

/// The item without stubs; a union can't even have the derives.
fn bare(item: &Item, errors: &TokenStream) -> TokenStream {
    let item = match &item.node.data {
        Data::Union(_) => item.node.to_token_stream(),
        _ => expand::item(item),
    };
    quote!(#item #errors)
}

/// Renames generated items that share a name, which is already reported.
fn rename_repeated<const N: usize>(item: &Item, generated: [&mut Ident; N]) {
    let mut taken = vec![item.node.ident.clone()];
    for name in generated {
        while taken.contains(name) {
            *name = format_ident!("{name}_");
        }
        taken.push(name.clone());
    }
}

/// The variants, without those that share their method name with an earlier one: a trait can't have it twice.
fn first_of_each_name<R>(variants: &[Variant<R>]) -> impl Iterator<Item = &Variant<R>> {
    variants.iter().enumerate().filter_map(|(i, variant)| {
        let name = variant.method.unraw();
        let repeated = variants.iter().take(i).any(|earlier| earlier.cfgs.is_empty() && earlier.method.unraw() == name);
        (!repeated).then_some(variant)
    })
}
