//! Tokens to raw input: what the user wrote, piece by piece, with the helper attributes taken off the item.
//!
//! A piece with a mistake is reported and skipped, and the others are still read.

mod attrs;
mod options;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Data, DeriveInput, LitInt, LitStr, Meta, Path, Type};

use self::options::{a_list, a_name, a_number, a_path, a_root, a_text, a_type, parse_options, some_paths};
pub(crate) use self::{
    attrs::{
        Rename, SerdeNames, SerdeWords, TokenMeta, attributes_without, condition, conditional, derives,
        is_read_by_serde, is_rename, serde_names, serde_words,
    },
    options::{Given, Root},
};
use crate::{
    diagnostics::{Errors, did_you_mean, expected},
    symbol::*,
};

/// What a macro was called with.
pub(crate) struct Input<O> {
    /// The options of the attribute.
    pub(crate) options: O,
    /// Which options were written, rightly or wrongly.
    pub(crate) given: Given,
    /// The item, without helper attributes.
    pub(crate) item: DeriveInput,
    /// The helper attributes of each variant, in the order of the variants.
    pub(crate) helpers: Vec<Vec<Helper>>,
}

/// A helper attribute: `#[create]`.
pub(crate) struct Helper {
    /// Which one.
    pub(crate) word: &'static str,
    /// The attribute.
    pub(crate) node: Attribute,
}

/// The options of `#[event(...)]`.
#[derive(Default)]
pub(crate) struct EventOptions {
    pub(crate) key: Option<Type>,
    pub(crate) name: Option<LitStr>,
    pub(crate) applier: Option<Ident>,
    pub(crate) projector: Option<Ident>,
    pub(crate) projection: Option<Ident>,
    pub(crate) manual: Vec<&'static str>,
    pub(crate) no_implicit_prelude: bool,
    pub(crate) root: Option<Root>,
}

/// The options of `#[command(...)]`.
#[derive(Default)]
pub(crate) struct CommandOptions {
    pub(crate) event: Option<Path>,
    pub(crate) error: Option<Path>,
    pub(crate) context: bool,
    pub(crate) handler: Option<Ident>,
    pub(crate) client: Option<Ident>,
    pub(crate) manual: Vec<&'static str>,
    pub(crate) no_implicit_prelude: bool,
    pub(crate) root: Option<Root>,
}

/// The options of `#[aggregate(...)]`.
#[derive(Default)]
pub(crate) struct AggregateOptions {
    pub(crate) command: Option<Path>,
    pub(crate) manual: Vec<&'static str>,
    pub(crate) root: Option<Root>,
}

/// The options of `#[projection(...)]`.
#[derive(Default)]
pub(crate) struct ProjectionOptions {
    pub(crate) events: Vec<Path>,
    pub(crate) version: Option<LitInt>,
    pub(crate) name: Option<LitStr>,
    pub(crate) root: Option<Root>,
}

/// The options of `#[key(...)]` below `#[derive(Key)]`, and of `#[described(...)]`.
#[derive(Default)]
pub(crate) struct DeriveOptions {
    pub(crate) root: Option<Root>,
}

/// Reads `#[event(...)]` and its item.
pub(crate) fn event(args: TokenStream, item: TokenStream, errors: &mut Errors) -> syn::Result<Input<EventOptions>> {
    let item = parse_item(item, EVENT, "an enum")?;
    let mut options = EventOptions::default();
    let given = parse_options(EVENT, EVENT_OPTIONS, args, errors, |word, input| {
        match word {
            KEY => options.key = Some(a_type(word, input)?),
            NAME => options.name = Some(a_text(word, input)?),
            APPLIER => options.applier = Some(a_name(word, input)?),
            PROJECTOR => options.projector = Some(a_name(word, input)?),
            PROJECTION => options.projection = Some(a_name(word, input)?),
            MANUAL => a_list(word, DERIVES, input, &mut options.manual)?,
            NO_IMPLICIT_PRELUDE => options.no_implicit_prelude = true,
            _ => options.root = Some(a_root(word, input)?),
        }
        Ok(())
    });
    Ok(with_helpers(options, given, item, EVENT, EVENT_HELPERS, errors))
}

/// Reads `#[command(...)]` and its item.
pub(crate) fn command(args: TokenStream, item: TokenStream, errors: &mut Errors) -> syn::Result<Input<CommandOptions>> {
    let item = parse_item(item, COMMAND, "an enum")?;
    let mut options = CommandOptions::default();
    let given = parse_options(COMMAND, COMMAND_OPTIONS, args, errors, |word, input| {
        match word {
            EVENT => options.event = Some(a_path(word, input)?),
            ERROR => options.error = Some(a_path(word, input)?),
            CONTEXT => options.context = true,
            HANDLER => options.handler = Some(a_name(word, input)?),
            CLIENT => options.client = Some(a_name(word, input)?),
            MANUAL => a_list(word, DERIVES, input, &mut options.manual)?,
            NO_IMPLICIT_PRELUDE => options.no_implicit_prelude = true,
            _ => options.root = Some(a_root(word, input)?),
        }
        Ok(())
    });
    Ok(with_helpers(options, given, item, COMMAND, COMMAND_HELPERS, errors))
}

/// Reads `#[aggregate(...)]` and its item.
pub(crate) fn aggregate(
    args: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> syn::Result<Input<AggregateOptions>> {
    let item = parse_item(item, AGGREGATE, "a struct or an enum")?;
    let mut options = AggregateOptions::default();
    let given = parse_options(AGGREGATE, AGGREGATE_OPTIONS, args, errors, |word, input| {
        match word {
            COMMAND => options.command = Some(a_path(word, input)?),
            MANUAL => a_list(word, DERIVES, input, &mut options.manual)?,
            _ => options.root = Some(a_root(word, input)?),
        }
        Ok(())
    });
    Ok(Input { options, given, item, helpers: Vec::new() })
}

/// Reads `#[projection(...)]` and its item.
pub(crate) fn projection(
    args: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> syn::Result<Input<ProjectionOptions>> {
    let item = parse_item(item, PROJECTION, "a struct or an enum")?;
    let mut options = ProjectionOptions::default();
    let given = parse_options(PROJECTION, PROJECTION_OPTIONS, args, errors, |word, input| {
        match word {
            EVENTS => options.events = some_paths(word, input)?,
            VERSION => options.version = Some(a_number(word, input)?),
            NAME => options.name = Some(a_text(word, input)?),
            _ => options.root = Some(a_root(word, input)?),
        }
        Ok(())
    });
    Ok(Input { options, given, item, helpers: Vec::new() })
}

/// Reads the item below `#[derive(Key)]`.
pub(crate) fn key(item: TokenStream, errors: &mut Errors) -> syn::Result<Input<DeriveOptions>> {
    derived(item, KEY, errors)
}

/// Reads the item below `#[derive(Described)]`.
pub(crate) fn described(item: TokenStream, errors: &mut Errors) -> syn::Result<Input<DeriveOptions>> {
    derived(item, DESCRIBED, errors)
}

fn derived(item: TokenStream, helper: &str, errors: &mut Errors) -> syn::Result<Input<DeriveOptions>> {
    let item: DeriveInput = syn::parse2(item)?;
    let mut options = DeriveOptions::default();
    let mut given = Given::default();
    for attr in item.attrs.iter().filter(|attr| attr.path().is_ident(helper)) {
        match attr.meta.require_list() {
            Ok(meta) => {
                given = parse_options(helper, DERIVE_OPTIONS, meta.tokens.clone(), errors, |word, input| {
                    options.root = Some(a_root(word, input)?);
                    Ok(())
                });
            }
            Err(_) => {
                let hint = format!("write `#[{helper}(crate = \"...\")]`, or remove it");
                errors.at(attr, format!("`#[{helper}]` needs an option: {hint}"));
            }
        }
    }
    Ok(Input { options, given, item, helpers: Vec::new() })
}

/// The item, or the error that it is the wrong kind of item.
fn parse_item(item: TokenStream, macro_name: &str, wanted: &str) -> syn::Result<DeriveInput> {
    let is_type = item.clone().into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "enum" || word == "struct" || word == "union",
        _ => false,
    });
    if is_type {
        syn::parse2(item)
    } else {
        Err(syn::Error::new(Span::call_site(), format!("`#[{macro_name}]` can only be applied to {wanted}")))
    }
}

/// Takes the helper attributes off the variants.
fn with_helpers<O>(
    options: O,
    given: Given,
    mut item: DeriveInput,
    macro_name: &str,
    allowed: &[&'static str],
    errors: &mut Errors,
) -> Input<O> {
    take_misplaced(&mut item.attrs, "the item", errors);
    let mut helpers = Vec::new();
    if let Data::Enum(data) = &mut item.data {
        for variant in &mut data.variants {
            for field in variant.fields.iter_mut() {
                take_misplaced(&mut field.attrs, "a field", errors);
            }
            helpers.push(take_helpers(&mut variant.attrs, macro_name, allowed, errors));
        }
    }
    Input { options, given, item, helpers }
}

fn take_helpers(
    attrs: &mut Vec<Attribute>,
    macro_name: &str,
    allowed: &[&'static str],
    errors: &mut Errors,
) -> Vec<Helper> {
    let mut taken: Vec<Helper> = Vec::new();
    for attr in std::mem::take(attrs) {
        let Some(word) = helper(&attr, allowed) else {
            attrs.push(attr);
            continue;
        };
        if let Some(message) = misuse(&attr, word, macro_name, allowed) {
            errors.at(&attr, message);
        } else if taken.iter().any(|helper| helper.word == word) {
            errors.at(&attr, format!("duplicate `#[{word}]`: remove one"));
        }
        if allowed.contains(&word) {
            taken.push(Helper { word, node: attr });
        }
    }
    taken
}

/// Which helper an attribute is, contains in `cfg_attr`, or was meant to be. A word that only resembles a helper counts
/// if it has no arguments.
fn helper(attr: &Attribute, allowed: &[&'static str]) -> Option<&'static str> {
    let known = |path: &Path| HELPERS.iter().copied().find(|word| path.is_ident(word));
    let written = attr.path().get_ident()?.to_string();
    known(attr.path())
        .or_else(|| conditional(attr).iter().find_map(|meta| known(meta.path())))
        .or_else(|| matches!(attr.meta, Meta::Path(_)).then(|| did_you_mean(&written, allowed)).flatten())
}

/// What is wrong with the use of a helper.
fn misuse(attr: &Attribute, word: &str, macro_name: &str, allowed: &[&str]) -> Option<String> {
    let written = attr.path().to_token_stream().to_string();
    if written == CFG_ATTR {
        // An attribute macro sees `cfg_attr` unresolved, so it can't know whether the word counts.
        Some(format!("`#[{word}]` can't be conditional: write it outside of `cfg_attr`"))
    } else if written != word {
        Some(format!("`#[{macro_name}]` has no helper attribute `#[{written}]`: did you mean `#[{word}]`?"))
    } else if !allowed.contains(&word) {
        Some(foreign_helper(word, macro_name, allowed))
    } else if !matches!(attr.meta, Meta::Path(_)) {
        Some(format!("`#[{word}]` takes no arguments: write `#[{word}]`"))
    } else {
        None
    }
}

fn foreign_helper(word: &str, macro_name: &str, allowed: &[&str]) -> String {
    let hint = match (macro_name, word) {
        (EVENT, CONTEXT) => "a projector's methods always get the metadata of the event".to_owned(),
        (COMMAND, DELETE) => "it marks the event that removes the state, in the `#[event]` enum".to_owned(),
        (EVENT, UPSERT) => "it marks a command, in the `#[command]` enum".to_owned(),
        _ => expected(allowed),
    };
    format!("`#[{word}]` can't be used with `#[{macro_name}]`: {hint}")
}

fn take_misplaced(attrs: &mut Vec<Attribute>, place: &str, errors: &mut Errors) {
    attrs.retain(|attr| {
        let misplaced = HELPERS.iter().find(|&&word| attr.path().is_ident(word));
        if let Some(word) = misplaced {
            errors.at(attr, format!("`#[{word}]` belongs on a variant, not on {place}"));
        }
        misplaced.is_none()
    });
}
