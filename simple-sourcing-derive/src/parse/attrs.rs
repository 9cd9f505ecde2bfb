//! Attributes of the language and of serde that the macros read and leave where they are.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Attribute, LitStr, Meta, Path, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

use crate::symbol::*;

/// The last segments of the paths in `#[derive(...)]`.
pub(crate) fn derives(attrs: &[Attribute]) -> Vec<String> {
    let lists = attrs.iter().filter(|attr| attr.path().is_ident(DERIVE));
    let paths = lists
        .filter_map(|attr| attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok())
        .flat_map(Punctuated::into_iter);
    paths.filter_map(|path| path.segments.last().map(|segment| segment.ident.to_string())).collect()
}

/// Whether serde's derive reads what has these attributes as its type says.
pub(crate) fn is_read_by_serde(attrs: &[Attribute]) -> bool {
    !serde_metas(attrs).any(|meta| NOT_READ.contains(&meta.word.as_str()))
}

fn serde_metas(attrs: &[Attribute]) -> impl Iterator<Item = TokenMeta> {
    let lists = attrs.iter().filter(|attr| attr.path().is_ident(SERDE));
    lists
        .filter_map(|attr| attr.parse_args_with(Punctuated::<TokenMeta, Token![,]>::parse_terminated).ok())
        .flat_map(Punctuated::into_iter)
}

/// What `#[serde(...)]` says of a name. Anything that is not about names, or wrong, is left to serde.
#[derive(Default)]
pub(crate) struct SerdeNames {
    pub(crate) rename: Option<LitStr>,
    pub(crate) rename_all: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) has_crate: bool,
}

/// Reads the `#[serde(...)]` attributes among `attrs`.
pub(crate) fn serde_names(attrs: &[Attribute]) -> SerdeNames {
    let mut names = SerdeNames::default();
    for TokenMeta { word, value, list } in serde_metas(attrs) {
        match word.as_str() {
            RENAME => names.rename = value.or_else(|| serialize_name(list)),
            RENAME_ALL => names.rename_all = value.or_else(|| serialize_name(list)),
            ALIAS => names.aliases.extend(value),
            CRATE => names.has_crate = true,
            _ => {}
        }
    }
    names
}

/// `serialize = "..."` among the arguments of `rename(...)`.
fn serialize_name(list: TokenStream) -> Option<LitStr> {
    let metas = Punctuated::<TokenMeta, Token![,]>::parse_terminated.parse2(list).ok()?;
    metas.into_iter().find(|meta| meta.word == SERIALIZE)?.value
}

/// `word`, `word = "..."` or `word(...)`, as serde's attributes are made.
struct TokenMeta {
    word: String,
    value: Option<LitStr>,
    list: TokenStream,
}

impl syn::parse::Parse for TokenMeta {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let word = input.call(Ident::parse_any)?.to_string();
        let (mut value, mut list) = (None, TokenStream::new());
        if input.parse::<Option<Token![=]>>()?.is_some() {
            value = input.parse::<Option<LitStr>>()?;
        } else if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            list = content.parse()?;
        }
        while !input.is_empty() && !input.peek(Token![,]) {
            input.parse::<TokenTree>()?;
        }
        Ok(TokenMeta { word, value, list })
    }
}

/// The attributes within `#[cfg_attr(condition, ...)]`; none of another attribute.
pub(crate) fn conditional(attr: &Attribute) -> Vec<Meta> {
    if !attr.path().is_ident(CFG_ATTR) {
        return Vec::new();
    }
    let metas = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
    metas.into_iter().skip(1).collect()
}

/// Whether an attribute gives a variant its name on the wire.
pub(crate) fn is_rename(meta: &Meta) -> bool {
    let Meta::List(list) = meta else { return false };
    let renames = |token| matches!(token, TokenTree::Ident(word) if word == RENAME);
    list.path.is_ident(SERDE) && list.tokens.clone().into_iter().any(renames)
}
