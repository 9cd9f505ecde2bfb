//! What the user meant: plain data with every name decided, and the user's own tokens kept for the places of errors.
//!
//! A model is always made, also from wrong input: what is missing or contradictory gets the likeliest value, so that the
//! fallback can write code with which the rest of the program type-checks.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Data, DeriveInput, LitStr, Member, Path, Type, ext::IdentExt};

use crate::{
    naming,
    parse::{
        AggregateOptions, CommandOptions, EventOptions, Given, Helper, Input, KeyOptions, Root, derives, serde_names,
    },
    symbol::*,
};

/// The item below the attribute, as it is given back.
pub(crate) struct Item {
    pub(crate) node: DeriveInput,
    pub(crate) root: Option<Root>,
    /// The derives that the user did not write.
    pub(crate) derives: Vec<Derive>,
    /// Whether serde's derives have to be told where serde is.
    pub(crate) serde_crate: bool,
}

/// A derive that the macros add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derive {
    Debug,
    Clone,
    PartialEq,
    Serialize,
    Deserialize,
}

/// An `#[event]` enum.
pub(crate) struct Event {
    pub(crate) item: Item,
    pub(crate) given: Given,
    pub(crate) key: Option<Type>,
    pub(crate) aggregate: LitStr,
    pub(crate) applier: Ident,
    pub(crate) projector: Ident,
    pub(crate) variants: Vec<Variant<EventRole>>,
}

/// A `#[command]` enum.
pub(crate) struct Command {
    pub(crate) item: Item,
    pub(crate) given: Given,
    pub(crate) event: Path,
    pub(crate) error: Path,
    pub(crate) handler: Ident,
    pub(crate) client: Ident,
    pub(crate) variants: Vec<Variant<CommandRole>>,
}

/// An `#[aggregate]` type.
pub(crate) struct Aggregate {
    pub(crate) item: Item,
    pub(crate) given: Given,
    pub(crate) command: Path,
}

/// A newtype with `#[derive(Key)]`.
pub(crate) struct Key {
    pub(crate) node: DeriveInput,
    pub(crate) root: Option<Root>,
    /// The only field, if there is one only.
    pub(crate) field: Option<(Member, Type)>,
}

/// A variant and all that is made of it.
pub(crate) struct Variant<R> {
    pub(crate) node: syn::Variant,
    pub(crate) role: R,
    pub(crate) helpers: Vec<Helper>,
    /// The name of the methods of this variant.
    pub(crate) method: Ident,
    /// The name that serde writes, and what it is read from.
    pub(crate) wire_name: LitStr,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) deprecated: Option<Attribute>,
    pub(crate) fields: Vec<Field>,
}

/// A field of a variant, which is a parameter of its methods.
pub(crate) struct Field {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) name: Ident,
    pub(crate) ty: TokenStream,
}

/// What an event does to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventRole {
    Create,
    Change,
    Delete,
}

/// What a command expects to find, and whether its handler is given the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommandRole {
    pub(crate) state: Expected,
    pub(crate) context: bool,
}

/// What a command expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Absent,
    Present,
    Either,
}

impl Event {
    pub(crate) fn new(input: Input<EventOptions>) -> Self {
        let Input { options, given, item, helpers } = input;
        let base = naming::base(&item.ident, "Event");
        let name = || LitStr::new(&naming::kebab_case(&base), item.ident.span());
        let mut variants = variants(&item, helpers, |helpers| match () {
            () if has(helpers, CREATE) => EventRole::Create,
            () if has(helpers, DELETE) => EventRole::Delete,
            () => EventRole::Change,
        });
        // Without any, which is reported, the first is the likeliest.
        if !variants.iter().any(|variant| variant.role == EventRole::Create) {
            variants.iter_mut().take(1).for_each(|first| first.role = EventRole::Create);
        }
        Event {
            key: options.key,
            aggregate: options.name.unwrap_or_else(name),
            applier: options.applier.unwrap_or_else(|| generated(&base, "Applier", &item)),
            projector: options.projector.unwrap_or_else(|| generated(&base, "Projector", &item)),
            variants,
            item: Item::new(item, options.root),
            given,
        }
    }
}

impl Command {
    pub(crate) fn new(input: Input<CommandOptions>) -> Self {
        let Input { options, given, item, helpers } = input;
        let base = naming::base(&item.ident, "Command");
        let variants = variants(&item, helpers, |helpers| CommandRole {
            state: match () {
                () if has(helpers, CREATE) => Expected::Absent,
                () if has(helpers, UPSERT) => Expected::Either,
                () => Expected::Present,
            },
            context: options.context || has(helpers, CONTEXT),
        });
        Command {
            event: options.event.unwrap_or_else(|| generated(&base, "Event", &item).into()),
            error: options.error.unwrap_or_else(|| generated(&base, "Error", &item).into()),
            handler: options.handler.unwrap_or_else(|| generated(&base, "Handler", &item)),
            client: options.client.unwrap_or_else(|| generated(&base, "Client", &item)),
            variants,
            item: Item::new(item, options.root),
            given,
        }
    }
}

impl Aggregate {
    pub(crate) fn new(input: Input<AggregateOptions>) -> Self {
        let Input { options, given, item, .. } = input;
        let base = item.ident.unraw().to_string();
        let command = options.command.unwrap_or_else(|| generated(&base, "Command", &item).into());
        Aggregate { item: Item::new(item, options.root), given, command }
    }
}

impl Key {
    pub(crate) fn new(input: Input<KeyOptions>) -> Self {
        let Input { options, item, .. } = input;
        let field = match &item.data {
            Data::Struct(data) if data.fields.len() == 1 => {
                data.fields.members().zip(data.fields.iter().map(|field| field.ty.clone())).next()
            }
            _ => None,
        };
        Key { node: item, root: options.root, field }
    }
}

impl Item {
    fn new(node: DeriveInput, root: Option<Root>) -> Self {
        let written = derives(&node.attrs);
        let mut derives = Derive::ALL.to_vec();
        derives.retain(|derive| !written.iter().any(|written| written == derive.word()));
        let serde = derives.contains(&Derive::Serialize) || derives.contains(&Derive::Deserialize);
        let serde_crate = serde && !serde_names(&node.attrs).has_crate;
        Item { node, root, derives, serde_crate }
    }
}

impl Derive {
    const ALL: [Derive; 5] = [Derive::Debug, Derive::Clone, Derive::PartialEq, Derive::Serialize, Derive::Deserialize];

    fn word(self) -> &'static str {
        match self {
            Derive::Debug => "Debug",
            Derive::Clone => "Clone",
            Derive::PartialEq => "PartialEq",
            Derive::Serialize => "Serialize",
            Derive::Deserialize => "Deserialize",
        }
    }
}

impl<R> Variant<R> {
    /// A name for a parameter of our own: `wanted`, with underscores until no field has it.
    pub(crate) fn free_name(&self, wanted: &str) -> Ident {
        let mut name = wanted.to_owned();
        while self.fields.iter().any(|field| field.name.unraw() == name) {
            name.push('_');
        }
        Ident::new(&name, Span::call_site())
    }
}

pub(crate) fn has(helpers: &[Helper], word: &str) -> bool {
    helpers.iter().any(|helper| helper.word == word)
}

/// The name of a generated item. It stands where the user's enum stands, so that errors and "go to definition" lead there.
fn generated(base: &str, suffix: &str, item: &DeriveInput) -> Ident {
    Ident::new(&format!("{base}{suffix}"), Span::call_site().located_at(item.ident.span()))
}

fn variants<R>(item: &DeriveInput, helpers: Vec<Vec<Helper>>, role: impl Fn(&[Helper]) -> R) -> Vec<Variant<R>> {
    let Data::Enum(data) = &item.data else { return Vec::new() };
    let rename_all = serde_names(&item.attrs).rename_all;
    let both = data.variants.iter().zip(helpers);
    both.map(|(node, helpers)| variant(node, role(&helpers), helpers, rename_all.as_ref(), &item.ident)).collect()
}

fn variant<R>(
    node: &syn::Variant,
    role: R,
    helpers: Vec<Helper>,
    rename_all: Option<&LitStr>,
    item: &Ident,
) -> Variant<R> {
    let serde = serde_names(&node.attrs);
    let default_name = || {
        let name = node.ident.unraw().to_string();
        let renamed = rename_all.map(|rule| naming::rename_all(&rule.value(), &name));
        LitStr::new(&renamed.unwrap_or(name), node.ident.span())
    };
    let mut method = naming::method(&node.ident);
    method.set_span(Span::call_site().located_at(node.ident.span()));
    let several = node.fields.len() > 1;
    let fields = node.fields.iter().enumerate().map(|(i, field)| Field {
        cfgs: attrs_named(&field.attrs, CFG),
        name: field.ident.clone().unwrap_or_else(|| {
            let name = if several { format!("value_{i}") } else { "value".to_owned() };
            Ident::new(&name, Span::call_site())
        }),
        ty: without_self(field.ty.to_token_stream(), item),
    });
    Variant {
        role,
        helpers,
        method,
        wire_name: serde.rename.unwrap_or_else(default_name),
        aliases: serde.aliases,
        docs: attrs_named(&node.attrs, DOC),
        cfgs: attrs_named(&node.attrs, CFG),
        deprecated: attrs_named(&node.attrs, DEPRECATED).pop(),
        fields: fields.collect(),
        node: node.clone(),
    }
}

fn attrs_named(attrs: &[Attribute], word: &str) -> Vec<Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident(word)).cloned().collect()
}

/// In the enum `Self` is the enum; in the generated traits it is whoever implements them.
fn without_self(tokens: TokenStream, item: &Ident) -> TokenStream {
    let replaced = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(word) if word == "Self" => {
            let mut item = item.clone();
            item.set_span(word.span());
            item.into()
        }
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), without_self(group.stream(), item));
            inner.set_span(group.span());
            inner.into()
        }
        other => other,
    });
    replaced.collect()
}
