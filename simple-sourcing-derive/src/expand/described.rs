//! `Described`: the wire format of a type, as a table of constants. It holds what is known about the type here, in
//! serde's words. The library works out what the words mean together.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{DeriveInput, GenericParam, ext::IdentExt, parse_quote};

use super::{
    key_type, local, private,
    shape::{Entries, attributes, default, docs, shape, type_of},
    table::Table,
};
use crate::{
    model::{Aggregate, Command, CommandRole, Described, Event, EventRole, Expected, Item, Variant},
    parse::{Root, SerdeWords, serde_names},
    symbol::*,
};

pub(crate) fn expand(described: &Described) -> TokenStream {
    let Described { node, root, .. } = described;
    let arguments = node.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(type_of(&param.ident)),
        _ => None,
    });
    let arguments: Vec<TokenStream> = arguments.collect();
    let source = Source { node, root: root.as_ref(), macro_name: "", manual: &[], lints: &[] };
    let table = source.table(&[], |table| {
        table.flag("is_generic", !node.generics.params.is_empty(), false);
        if !arguments.is_empty() {
            table.set("arguments", quote!(&[#(#arguments),*]));
        }
    });
    source.implementation(&table)
}

pub(crate) fn of_event(event: &Event) -> TokenStream {
    let Event { item, aggregate, variants, .. } = event;
    let key = key_type(event);
    let source = Source::new(item, EVENT);
    let of_variants: Vec<Entries> = variants.iter().map(|variant| role_of_event(variant)).collect();
    let key = type_of(&key);
    let table = source.table(&of_variants, |table| {
        table.set("role", quote!(__schema::Role::OfEvents { aggregate: #aggregate, key: #key }));
    });
    source.implementation(&table)
}

pub(crate) fn of_command(command: &Command) -> TokenStream {
    let Command { item, error, client, variants, .. } = command;
    let source = Source::new(item, COMMAND);
    let of_variants: Vec<Entries> = variants.iter().map(|variant| role_of_command(variant)).collect();
    let (error, client) = (type_of(error), client.to_string());
    let table = source.table(&of_variants, |table| {
        table.set("role", quote!(__schema::Role::OfCommands { error: #error, client: #client }));
    });
    source.implementation(&table)
}

pub(crate) fn of_aggregate(aggregate: &Aggregate) -> TokenStream {
    let source = Source::new(&aggregate.item, AGGREGATE);
    let table = source.table(&[], |table| table.set("role", quote!(__schema::Role::OfState)));
    source.implementation(&table)
}

/// An empty implementation, for a type with a mistake.
pub(crate) fn stub(node: &DeriveInput, root: Option<&Root>) -> TokenStream {
    let (registry, p) = (local("registry"), private(root));
    implementation(node, &p, &[], &quote!(#p::declared::opaque::<Self>(#registry)))
}

/// `fn describe` with this body. The parameters of a generic type must be `Described`, too.
fn implementation(node: &DeriveInput, p: &TokenStream, lints: &[TokenStream], body: &TokenStream) -> TokenStream {
    let mut generics = node.generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(#p::Described));
    }
    let (ident, registry) = (&node.ident, local("registry"));
    let (of_impl, of_type, clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        #(#lints)*
        #[allow(deprecated, unused_imports)]
        impl #of_impl #p::Described for #ident #of_type #clause {
            fn describe(#registry: &mut #p::Registry) -> #p::TypeRef {
                #body
            }
        }
    }
}

/// What all kinds of items have in common.
struct Source<'a> {
    node: &'a DeriveInput,
    root: Option<&'a Root>,
    macro_name: &'a str,
    manual: &'a [&'static str],
    lints: &'a [TokenStream],
}

impl<'a> Source<'a> {
    fn new(item: &'a Item, macro_name: &'a str) -> Self {
        let Item { node, root, manual, lints, .. } = item;
        Source { node, root: root.as_ref(), macro_name, manual, lints }
    }

    fn implementation(&self, table: &TokenStream) -> TokenStream {
        let (registry, p) = (local("registry"), private(self.root));
        let body = quote! {
            use #p::declared::{self as __schema, Undescribed as _};
            __schema::describe::<Self>(#registry, const { &#table })
        };
        implementation(self.node, &p, self.lints, &body)
    }

    /// The table of the type, with entries for each variant and the additional entries of its kind.
    fn table(&self, of_variants: &[Entries], more: impl FnOnce(&mut Table)) -> TokenStream {
        let node = self.node;
        let words = SerdeWords::of(&node.attrs);
        let mut table = Table::new(quote!(__schema::Type));
        table.text("name", &node.ident.unraw().to_string());
        let wire_name = serde_names(&node.attrs).rename.written;
        table.text("wire_name", &wire_name.map(|name| name.value()).unwrap_or_default());
        table.text("docs", &docs(&node.attrs));
        let attributes = attributes(&node.attrs, &[RENAME_ALL, RENAME_ALL_FIELDS, CRATE]);
        table.texts("attributes", &self.by_hand().into_iter().chain(attributes).collect::<Vec<_>>());
        more(&mut table);
        for (name, derive, others) in
            [("written", SERIALIZE_DERIVE, &[INTO][..]), ("read", DESERIALIZE_DERIVE, &[FROM, TRY_FROM])]
        {
            let other = others.iter().find_map(|word| words.ty(word));
            if self.manual.contains(&derive) {
                table.set(name, quote!(__schema::How::ByHand));
            } else if let Some(other) = other {
                let other = type_of(&other);
                table.set(name, quote!(__schema::How::As(#other)));
            }
        }
        table.flag("denies_unknown_fields", words.has(DENY_UNKNOWN_FIELDS), false);
        default(&mut table, &words);
        table.set("shape", shape(node, &words, of_variants));
        table.over(quote!(__schema::TYPE))
    }

    /// `#[event(manual(Serialize))]`, if it was given.
    fn by_hand(&self) -> Option<String> {
        let words = self.manual.iter().copied().filter(|word| [SERIALIZE_DERIVE, DESERIALIZE_DERIVE].contains(word));
        let words: Vec<&str> = words.collect();
        (!words.is_empty()).then(|| format!("#[{}({MANUAL}({}))]", self.macro_name, words.join(", ")))
    }
}

fn role_of_event(variant: &Variant<EventRole>) -> Entries {
    let role = match variant.role {
        EventRole::Create => quote!(Create),
        EventRole::Change => quote!(Change),
        EventRole::Delete => quote!(Delete),
    };
    does(variant, "AsEvent", quote!(__schema::EventRole::#role))
}

fn role_of_command(variant: &Variant<CommandRole>) -> Entries {
    let role = match variant.role.state {
        Expected::Absent => quote!(Create),
        Expected::Present => quote!(Update),
        Expected::Either => quote!(Upsert),
    };
    does(variant, "AsCommand", quote!(__schema::CommandRole::#role))
}

fn does<R>(variant: &Variant<R>, kind: &str, role: TokenStream) -> Entries {
    let (kind, method) = (Ident::new(kind, Span::call_site()), variant.method.unraw().to_string());
    vec![("does", quote!(__schema::Does::#kind(#role, #method)))]
}
