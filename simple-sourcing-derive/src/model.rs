//! What the user meant: plain data with every name decided, and the user's own tokens to point errors at.
//!
//! Even wrong input gives a model: what is missing or contradictory gets the likeliest value, so that the fallback can
//! generate code with which the rest of the program type-checks.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, Data, DeriveInput, GenericArgument, LitInt, LitStr, Member, Path, PathArguments, Type, TypeReference,
    ext::IdentExt,
};

use crate::{
    carried, naming,
    parse::{
        AggregateOptions, CommandOptions, DeriveOptions, EventOptions, Given, Helper, Input, ProjectionOptions, Rename,
        Root, derives, is_read_by_serde, serde_names,
    },
    symbol::*,
    wire,
};

/// The item below the attribute, as it is returned.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) subject: Subject,
    pub(crate) node: DeriveInput,
    pub(crate) root: Option<Root>,
    /// The derives that the user did not write.
    pub(crate) derives: Vec<Derive>,
    /// Whether serde's derives need the path of serde.
    pub(crate) serde_crate: bool,
    /// Whether names of the prelude, among them `diagnostic`, are unknown here.
    pub(crate) no_implicit_prelude: bool,
    /// The references in the types of fields, which can't be read back from the log.
    pub(crate) references: Vec<TypeReference>,
    /// The derives that the user writes by hand.
    pub(crate) manual: Vec<&'static str>,
    /// The lint levels for all generated code.
    pub(crate) lints: Vec<TokenStream>,
}

/// What an item is, for messages and for rules that don't apply to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Event,
    Command,
    State,
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
    pub(crate) projection: Ident,
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

/// A `#[projection]` type.
pub(crate) struct Projection {
    pub(crate) node: DeriveInput,
    pub(crate) given: Given,
    pub(crate) root: Option<Root>,
    pub(crate) events: Vec<Path>,
    pub(crate) version: LitInt,
    pub(crate) name: LitStr,
}

/// A newtype with `#[derive(Key)]`.
pub(crate) struct Key {
    pub(crate) node: DeriveInput,
    pub(crate) root: Option<Root>,
    /// The only field, if there is exactly one.
    pub(crate) field: Option<(Member, Type)>,
}

/// A type with `#[derive(Described)]`.
pub(crate) struct Described {
    pub(crate) node: DeriveInput,
    pub(crate) root: Option<Root>,
}

/// A variant and everything derived from it.
pub(crate) struct Variant<R> {
    pub(crate) node: syn::Variant,
    pub(crate) role: R,
    pub(crate) helpers: Vec<Helper>,
    /// The name of the methods of this variant.
    pub(crate) method: Ident,
    /// The name that serde writes.
    pub(crate) wire_name: LitStr,
    pub(crate) docs: Vec<TokenStream>,
    pub(crate) cfgs: Vec<TokenStream>,
    pub(crate) deprecated: Vec<TokenStream>,
    pub(crate) lints: Vec<TokenStream>,
    pub(crate) fields: Vec<Field>,
}

/// A field of a variant, which is a parameter of its methods.
pub(crate) struct Field {
    pub(crate) cfgs: Vec<TokenStream>,
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

/// What a command expects to find, and whether its handler gets the context.
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
        // If there is none, which is reported, the first one is the likeliest.
        if !variants.iter().any(|variant| variant.role == EventRole::Create) {
            variants.iter_mut().take(1).for_each(|first| first.role = EventRole::Create);
        }
        Event {
            key: options.key,
            aggregate: options.name.unwrap_or_else(name),
            applier: options.applier.unwrap_or_else(|| generated(&base, "Applier", &item)),
            projector: options.projector.unwrap_or_else(|| generated(&base, "Projector", &item)),
            projection: options.projection.unwrap_or_else(|| generated(&base, "Projection", &item)),
            variants,
            item: Item::new(Subject::Event, item, options.root, options.manual, options.no_implicit_prelude),
            given,
        }
    }
}

impl Projection {
    pub(crate) fn new(input: Input<ProjectionOptions>) -> Self {
        let Input { options: ProjectionOptions { events, version, name, root }, given, item: node, .. } = input;
        let span = node.ident.span();
        let own_name = || LitStr::new(&naming::snake_case(&node.ident.unraw().to_string()), span);
        let version = version.unwrap_or_else(|| LitInt::new("1", span));
        Projection { name: name.unwrap_or_else(own_name), node, given, root, events, version }
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
            item: Item::new(Subject::Command, item, options.root, options.manual, options.no_implicit_prelude),
            given,
        }
    }
}

impl Aggregate {
    pub(crate) fn new(input: Input<AggregateOptions>) -> Self {
        let Input { options, given, item, .. } = input;
        let base = item.ident.unraw().to_string();
        let command = options.command.unwrap_or_else(|| generated(&base, "Command", &item).into());
        Aggregate { item: Item::new(Subject::State, item, options.root, options.manual, false), given, command }
    }
}

impl Key {
    pub(crate) fn new(input: Input<DeriveOptions>) -> Self {
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

impl Described {
    pub(crate) fn new(input: Input<DeriveOptions>) -> Self {
        Described { node: input.item, root: input.options.root }
    }
}

impl Item {
    fn new(
        subject: Subject,
        node: DeriveInput,
        root: Option<Root>,
        manual: Vec<&'static str>,
        no_implicit_prelude: bool,
    ) -> Self {
        let written = derives(&node.attrs);
        let mut derives = Derive::ALL.to_vec();
        derives.retain(|derive| {
            let word = derive.word();
            !manual.contains(&word) && !written.iter().any(|written| written == word)
        });
        let serde_crate = derives.iter().any(|derive| derive.is_of_serde()) && !serde_names(&node.attrs).has_crate;
        // How a hand-written `Deserialize` reads the fields is up to the user.
        let reads = derives.contains(&Derive::Deserialize) && node.generics.params.is_empty();
        let references = if reads { references(&node.data) } else { Vec::new() };
        let lints = carried::lints(&node.attrs);
        Item { subject, node, root, derives, serde_crate, no_implicit_prelude, references, manual, lints }
    }
}

impl Subject {
    pub(crate) fn one(self) -> &'static str {
        match self {
            Subject::Event => "an event",
            Subject::Command => "a command",
            Subject::State => "the state",
        }
    }
}

impl Derive {
    const ALL: [Derive; 5] = [Derive::Debug, Derive::Clone, Derive::PartialEq, Derive::Serialize, Derive::Deserialize];

    pub(crate) fn is_of_serde(self) -> bool {
        matches!(self, Derive::Serialize | Derive::Deserialize)
    }

    fn word(self) -> &'static str {
        match self {
            Derive::Debug => DEBUG,
            Derive::Clone => CLONE,
            Derive::PartialEq => PARTIAL_EQ,
            Derive::Serialize => SERIALIZE_DERIVE,
            Derive::Deserialize => DESERIALIZE_DERIVE,
        }
    }
}

impl<R> Variant<R> {
    /// A name for a parameter of our own: `wanted`, with as many underscores as it takes to differ from every field.
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

/// The name of a generated item, with the location of the user's enum, so that errors and "go to definition" lead
/// there.
fn generated(base: &str, suffix: &str, item: &DeriveInput) -> Ident {
    Ident::new(&format!("{base}{suffix}"), Span::call_site().located_at(item.ident.span()))
}

fn variants<R>(item: &DeriveInput, helpers: Vec<Vec<Helper>>, role: impl Fn(&[Helper]) -> R) -> Vec<Variant<R>> {
    let Data::Enum(data) = &item.data else { return Vec::new() };
    let rename_all = serde_names(&item.attrs).rename_all;
    let both = data.variants.iter().zip(helpers);
    both.map(|(node, helpers)| variant(node, role(&helpers), helpers, &rename_all, &item.ident)).collect()
}

fn variant<R>(node: &syn::Variant, role: R, helpers: Vec<Helper>, rename_all: &Rename, item: &Ident) -> Variant<R> {
    let mut method = naming::method(&node.ident);
    method.set_span(Span::call_site().located_at(node.ident.span()));
    let several = node.fields.len() > 1;
    let fields = node.fields.iter().enumerate().map(|(i, field)| Field {
        cfgs: carried::named(&field.attrs, &[CFG]),
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
        wire_name: wire::of_variant(node, rename_all).written,
        docs: carried::docs(&node.attrs, item),
        cfgs: carried::named(&node.attrs, &[CFG]),
        deprecated: carried::named(&node.attrs, &[DEPRECATED]),
        lints: carried::lints(&node.attrs),
        fields: fields.collect(),
        node: node.clone(),
    }
}

/// The references in fields that serde reads back, also within the usual containers.
fn references(data: &Data) -> Vec<TypeReference> {
    let fields: Vec<(&[Attribute], &syn::Fields)> = match data {
        Data::Struct(data) => vec![(&[], &data.fields)],
        Data::Enum(data) => data.variants.iter().map(|variant| (&*variant.attrs, &variant.fields)).collect(),
        Data::Union(_) => Vec::new(),
    };
    let fields = fields.into_iter().filter(|(attrs, _)| is_read_by_serde(attrs)).flat_map(|(_, fields)| fields);
    fields.filter(|field| is_read_by_serde(&field.attrs)).filter_map(|field| reference(&field.ty).cloned()).collect()
}

fn reference(ty: &Type) -> Option<&TypeReference> {
    match ty {
        Type::Reference(found) => Some(found),
        Type::Array(array) => reference(&array.elem),
        Type::Group(group) => reference(&group.elem),
        Type::Paren(paren) => reference(&paren.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(reference),
        Type::Path(path) => {
            let last = path.path.segments.last().filter(|last| CONTAINERS.iter().any(|name| last.ident == name))?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ty) => reference(ty),
                _ => None,
            })
        }
        _ => None,
    }
}

/// In the enum, `Self` is the enum; in the generated traits, it is the type that implements them.
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
