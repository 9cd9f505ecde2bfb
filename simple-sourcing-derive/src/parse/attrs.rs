//! Attributes of the language and of serde that the macros read and leave where they are.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, LitStr, Meta, Path, Token, Type,
    ext::IdentExt,
    parse::{ParseStream, Parser, discouraged::Speculative},
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

/// Whether serde's derive reads something with these attributes as its type says.
pub(crate) fn is_read_by_serde(attrs: &[Attribute]) -> bool {
    !serde_metas(attrs).any(|meta| NOT_READ.contains(&meta.word.as_str()))
}

fn serde_metas(attrs: &[Attribute]) -> impl Iterator<Item = TokenMeta> {
    attrs.iter().filter(|attr| attr.path().is_ident(SERDE)).flat_map(metas)
}

/// The words in `#[serde(...)]`, without those under a condition.
pub(crate) struct SerdeWords(Vec<TokenMeta>);

impl SerdeWords {
    pub(crate) fn of(attrs: &[Attribute]) -> Self {
        SerdeWords(serde_metas(attrs).collect())
    }

    pub(crate) fn get(&self, word: &str) -> Option<&TokenMeta> {
        self.0.iter().find(|meta| meta.word == word)
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.get(word).is_some()
    }

    pub(crate) fn any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.has(word))
    }

    /// The text in `word = "text"`.
    pub(crate) fn text(&self, word: &str) -> Option<String> {
        self.get(word)?.value.as_ref().map(LitStr::value)
    }

    /// The type in `word = "Type"`.
    pub(crate) fn ty(&self, word: &str) -> Option<Type> {
        self.get(word)?.value.as_ref()?.parse().ok()
    }
}

/// The words in `#[serde(...)]`, including those under a condition.
pub(crate) fn serde_words(attrs: &[Attribute]) -> Vec<TokenMeta> {
    let conditions = attrs.iter().flat_map(conditional).filter(|meta| meta.path().is_ident(SERDE));
    let within = conditions.filter_map(|meta| match meta {
        Meta::List(list) => Punctuated::<TokenMeta, Token![,]>::parse_terminated.parse2(list.tokens).ok(),
        _ => None,
    });
    serde_metas(attrs).chain(within.flatten()).collect()
}

fn metas(attr: &Attribute) -> Punctuated<TokenMeta, Token![,]> {
    attr.parse_args_with(Punctuated::parse_terminated).unwrap_or_default()
}

/// The attributes that may affect what is written: conditions, and those of serde without the words that are already
/// applied. A word that differs between writing and reading stays.
pub(crate) fn attributes_without(attrs: &[Attribute], applied: &[&str]) -> Vec<TokenStream> {
    let is_applied = |meta: &TokenMeta| applied.contains(&meta.word.as_str()) && meta.list.is_empty();
    let left = attrs.iter().filter_map(|attr| {
        if attr.path().is_ident(SERDE) {
            let left = metas(attr).into_iter().filter(|meta| !is_applied(meta)).map(|meta| meta.tokens);
            let left: Vec<TokenStream> = left.collect();
            (!left.is_empty()).then(|| quote!(#[serde(#(#left),*)]))
        } else {
            let is_of_serde = |meta: &Meta| meta.path().is_ident(SERDE);
            (attr.path().is_ident(CFG) || conditional(attr).iter().any(is_of_serde)).then(|| attr.to_token_stream())
        }
    });
    left.collect()
}

/// What `#[serde(...)]` says about names. Anything else, and anything wrong, is left to serde.
#[derive(Default)]
pub(crate) struct SerdeNames {
    pub(crate) rename: Rename,
    pub(crate) rename_all: Rename,
    pub(crate) rename_all_fields: Rename,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) has_crate: bool,
}

/// A name, or a rule for names: `rename = "..."`, or `rename(serialize = "...", deserialize = "...")`.
#[derive(Clone, Default)]
pub(crate) struct Rename {
    pub(crate) written: Option<LitStr>,
    pub(crate) read: Vec<LitStr>,
    /// All of it, to point at.
    pub(crate) tokens: TokenStream,
}

impl Rename {
    pub(crate) fn is_given(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether the name to write differs from those to read.
    pub(crate) fn is_split(&self) -> bool {
        let written: Vec<String> = self.written.iter().map(LitStr::value).collect();
        written != self.read.iter().map(LitStr::value).collect::<Vec<_>>()
    }

    fn of(meta: &TokenMeta) -> Self {
        let tokens = meta.tokens.clone();
        if let Some(value) = &meta.value {
            return Rename { written: Some(value.clone()), read: vec![value.clone()], tokens };
        }
        let metas = Punctuated::<TokenMeta, Token![,]>::parse_terminated.parse2(meta.list.clone()).unwrap_or_default();
        let values = |word| metas.iter().filter(move |meta| meta.word == word).filter_map(|meta| meta.value.clone());
        Rename { written: values(SERIALIZE).next(), read: values(DESERIALIZE).collect(), tokens }
    }
}

/// Reads the `#[serde(...)]` attributes among `attrs`.
pub(crate) fn serde_names(attrs: &[Attribute]) -> SerdeNames {
    let mut names = SerdeNames::default();
    for meta in serde_metas(attrs) {
        match meta.word.as_str() {
            RENAME => names.rename = Rename::of(&meta),
            RENAME_ALL => names.rename_all = Rename::of(&meta),
            RENAME_ALL_FIELDS => names.rename_all_fields = Rename::of(&meta),
            ALIAS => names.aliases.extend(meta.value),
            CRATE => names.has_crate = true,
            _ => {}
        }
    }
    names
}

/// `word`, `word = "..."` or `word(...)`: the parts of serde's attributes.
pub(crate) struct TokenMeta {
    pub(crate) word: String,
    pub(crate) value: Option<LitStr>,
    pub(crate) list: TokenStream,
    /// All of it.
    pub(crate) tokens: TokenStream,
}

impl syn::parse::Parse for TokenMeta {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        let mut tokens = TokenStream::new();
        while !ahead.is_empty() && !ahead.peek(Token![,]) {
            tokens.extend([ahead.parse::<TokenTree>()?]);
        }
        let word = input.call(Ident::parse_any)?.to_string();
        let (mut value, mut list) = (None, TokenStream::new());
        if input.parse::<Option<Token![=]>>()?.is_some() {
            value = input.parse::<Option<LitStr>>()?;
        } else if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            list = content.parse()?;
        }
        input.advance_to(&ahead);
        Ok(TokenMeta { word, value, list, tokens })
    }
}

/// The attributes within `#[cfg_attr(condition, ...)]`; none for another attribute.
pub(crate) fn conditional(attr: &Attribute) -> Vec<Meta> {
    if !attr.path().is_ident(CFG_ATTR) {
        return Vec::new();
    }
    let metas = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
    metas.into_iter().skip(1).collect()
}

/// The condition of `#[cfg_attr(condition, ...)]`; none for another attribute.
pub(crate) fn condition(attr: &Attribute) -> Option<TokenStream> {
    let tokens = attr.path().is_ident(CFG_ATTR).then(|| attr.meta.require_list().ok())??.tokens.clone();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    Some(tokens.into_iter().take_while(|token| !is_comma(token)).collect())
}

/// Whether an attribute gives a variant its wire name.
pub(crate) fn is_rename(meta: &Meta) -> bool {
    let Meta::List(list) = meta else { return false };
    let renames = |token| matches!(token, TokenTree::Ident(word) if word == RENAME);
    list.path.is_ident(SERDE) && list.tokens.clone().into_iter().any(renames)
}
