//! `expansion!`: the code that a macro generates for an item, as text.

use std::{env, fs, path::Path};

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, DeriveInput, LitStr, Meta, Token,
    parse::{Parse, ParseStream},
};

use crate::{
    parse::derives,
    pipeline,
    symbol::{AGGREGATE, COMMAND, DESCRIBED_DERIVE, EVENT, KEY_DERIVE},
    text,
};

/// The text, as a literal, or the error.
pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    match syn::parse2(input)? {
        Input::Item(item) => {
            let code = expand_item(*item)?;
            Ok(text::format(code).to_token_stream())
        }
        Input::InFile { file, name } => {
            let path = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join(file.value());
            let shown = format!("`{}` (a path relative to `Cargo.toml`)", file.value());
            let source = fs::read_to_string(&path)
                .map_err(|error| syn::Error::new(file.span(), format!("can't read {shown}: {}", error.kind())))?;
            let tokens = source
                .parse()
                .map_err(|error| syn::Error::new(file.span(), format!("can't parse {shown} as Rust: {error}")))?;
            let item = find(tokens, &name).ok_or_else(|| {
                syn::Error::new(name.span(), format!("there is no enum or struct `{name}` in `{}`", file.value()))
            })?;
            let text = text::format(expand_item(syn::parse2(item)?)?);
            let path = path.display().to_string();
            // Makes the compiler track the file, so that the text is regenerated when the file changes.
            Ok(quote!({
                const _: &[u8] = ::core::include_bytes!(#path);
                #text
            }))
        }
    }
}

enum Input {
    /// `"bank/domain.rs", AccountEvent`.
    InFile { file: LitStr, name: Ident },
    /// `#[event(key = String)] pub enum AccountEvent { ... }`.
    Item(Box<DeriveInput>),
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(LitStr) {
            return Ok(Input::Item(Box::new(input.parse()?)));
        }
        let file = input.parse()?;
        input.parse::<Token![,]>()?;
        let name = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Input::InFile { file, name })
    }
}

/// The code that the macro on the item generates.
fn expand_item(mut item: DeriveInput) -> syn::Result<TokenStream> {
    let macro_name = |attr: &Attribute| {
        let name = attr.path().segments.last()?.ident.to_string();
        [EVENT, COMMAND, AGGREGATE].into_iter().find(|&known| known == name)
    };
    let found = item.attrs.iter().enumerate().find_map(|(i, attr)| Some((i, macro_name(attr)?)));
    let Some((i, name)) = found else {
        if derives(&item.attrs).iter().any(|derive| derive == KEY_DERIVE) {
            return Ok(pipeline::key(item.into_token_stream()));
        }
        if derives(&item.attrs).iter().any(|derive| derive == DESCRIBED_DERIVE) {
            return Ok(pipeline::described(item.into_token_stream()));
        }
        let message =
            "must have one of `#[event]`, `#[command]`, `#[aggregate]`, `#[derive(Key)]` or `#[derive(Described)]`";
        return Err(syn::Error::new(item.ident.span(), format!("`{}` {message}", item.ident)));
    };
    let args = match item.attrs.remove(i).meta {
        Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    };
    let item = item.into_token_stream();
    Ok(match name {
        EVENT => pipeline::event(args, item),
        COMMAND => pipeline::command(args, item),
        _ => pipeline::aggregate(args, item),
    })
}

/// The tokens of the item with this name, at any depth of modules and functions.
fn find(tokens: TokenStream, name: &Ident) -> Option<TokenStream> {
    // The attributes and the visibility before the current token.
    let mut item = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_keyword = matches!(&token, TokenTree::Ident(word) if word == "enum" || word == "struct");
        let is_named = matches!(tokens.peek(), Some(TokenTree::Ident(next)) if next == name);
        if is_keyword && is_named {
            item.extend([token]);
            for token in tokens {
                let is_over = match &token {
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    _ => false,
                };
                item.extend([token]);
                if is_over {
                    break;
                }
            }
            return Some(item);
        }
        let is_over = match &token {
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                if let Some(found) = find(group.stream(), name) {
                    return Some(found);
                }
                true
            }
            _ => false,
        };
        if is_over {
            item = TokenStream::new();
        } else {
            item.extend([token]);
        }
    }
    None
}
