//! The options of an attribute: `word = value, word`, each word once, in any order.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    LitInt, LitStr, Path, Token, Type,
    ext::IdentExt,
    parse::{ParseStream, Parser, discouraged::Speculative},
    punctuated::Punctuated,
    token,
};

use crate::{
    diagnostics::{Errors, did_you_mean, expected, list},
    symbol::{Form, form},
};

/// `crate = "..."`: where the framework is.
#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) text: LitStr,
    pub(crate) path: Path,
}

/// Which options were written.
#[derive(Default)]
pub(crate) struct Given {
    words: Vec<&'static str>,
    /// There was a word that may have been meant as the value of any option.
    doubtful: bool,
}

impl Given {
    /// Whether the user forgot an option, rather than wrote it wrongly, which is already reported.
    pub(crate) fn lacks(&self, word: &str) -> bool {
        !self.doubtful && !self.words.contains(&word)
    }
}

/// Reads `word = value, ...`. Reports a word that is unknown, repeated or without a valid value, and reads the others.
pub(super) fn parse_options(
    macro_name: &str,
    known: &[&'static str],
    args: TokenStream,
    errors: &mut Errors,
    mut take: impl FnMut(&'static str, ParseStream<'_>) -> syn::Result<()>,
) -> Given {
    let mut given = Given::default();
    let all = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if let Err(error) = parse_option(macro_name, known, input, errors, &mut given, &mut take) {
                errors.push(error);
            }
            skip_to_next(input)?;
        }
        Ok(())
    };
    if let Err(error) = all.parse2(args) {
        errors.push(error);
    }
    given
}

fn parse_option(
    macro_name: &str,
    known: &[&'static str],
    input: ParseStream<'_>,
    errors: &mut Errors,
    given: &mut Given,
    take: &mut impl FnMut(&'static str, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let Ok(written) = input.call(Ident::parse_any) else {
        given.doubtful = true;
        return Err(input.error(expected(known)));
    };
    let text = written.to_string();
    let word = match known.iter().find(|&&word| word == text) {
        Some(word) => word,
        None => {
            let meant = did_you_mean(&text, known);
            let is_value = meant.is_none() && !input.peek(Token![=]);
            let hint = match (meant, known) {
                (Some(meant), _) => format!("did you mean `{meant}`?"),
                (None, [first, _, ..]) if is_value => format!("did you mean `{first} = {text}`?"),
                (None, _) => expected(known),
            };
            errors.at(&written, format!("`#[{macro_name}]` has no option `{text}`: {hint}"));
            given.doubtful |= is_value;
            // Reads the option that was probably meant, so that it is not also reported as missing.
            match meant {
                Some(meant) if !given.words.contains(&meant) => meant,
                _ => return skip_value(input),
            }
        }
    };
    if given.words.contains(&word) {
        skip_value(input)?;
        return Err(syn::Error::new_spanned(written, format!("duplicate option `{word}`: remove one")));
    }
    given.words.push(word);
    if let Some(message) = eat_equals(word, input)? {
        return Err(syn::Error::new_spanned(written, message));
    }
    take(word, input)?;
    if input.is_empty() || input.peek(Token![,]) { Ok(()) } else { Err(input.error("expected `,` between options")) }
}

/// Moves to the value of the option, or returns what is wrong with its form.
fn eat_equals(word: &str, input: ParseStream<'_>) -> syn::Result<Option<String>> {
    let is_list = input.peek(token::Paren);
    let equals = input.parse::<Option<Token![=]>>()?;
    let has_value = !input.is_empty() && !input.peek(Token![,]);
    Ok(match form(word) {
        Form::Value(example) if equals.is_none() || !has_value => {
            Some(format!("`{word}` needs a value: write `{word} = {example}`"))
        }
        Form::List(example) if !is_list => Some(format!("`{word}` needs a list: write `{word}({example})`")),
        Form::Alone if equals.is_some() || has_value => Some(format!("`{word}` takes no value: write just `{word}`")),
        _ => None,
    })
}

/// Skips `= value`, in which a comma between angle brackets does not count.
fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    if input.parse::<Option<Token![=]>>()?.is_some() {
        let ahead = input.fork();
        if ahead.parse::<Type>().is_ok() {
            input.advance_to(&ahead);
        }
    }
    Ok(())
}

fn skip_to_next(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn without_quotes(word: &str, what: &str, input: ParseStream<'_>) -> syn::Result<()> {
    if !input.peek(LitStr) {
        return Ok(());
    }
    let text: LitStr = input.parse()?;
    let value = text.value();
    Err(syn::Error::new_spanned(text, format!("`{word}` must be {what}: write it without quotes, `{word} = {value}`")))
}

/// `key = String`.
pub(super) fn a_type(word: &str, input: ParseStream<'_>) -> syn::Result<Type> {
    without_quotes(word, "a type", input)?;
    input.parse()
}

/// `event = path::to::Type`.
pub(super) fn a_path(word: &str, input: ParseStream<'_>) -> syn::Result<Path> {
    without_quotes(word, "a type", input)?;
    let ahead = input.fork();
    match ahead.parse::<Path>() {
        Ok(path) => {
            input.advance_to(&ahead);
            Ok(path)
        }
        Err(error) => Err(syn::Error::new(
            error.span(),
            format!("`{word}` must be the path of a type: write `{word} = path::to::Type`"),
        )),
    }
}

/// `events(path::to::Type, Type)`.
pub(super) fn some_paths(word: &str, input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let content;
    let parentheses = syn::parenthesized!(content in input);
    let mut paths = Vec::new();
    while !content.is_empty() {
        paths.push(a_path(word, &content)?);
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    if paths.is_empty() {
        let message = format!("`{word}` is empty: write `{word}(path::to::Type)`");
        return Err(syn::Error::new(parentheses.span.join(), message));
    }
    Ok(paths)
}

/// `version = 1`.
pub(super) fn a_number(word: &str, input: ParseStream<'_>) -> syn::Result<LitInt> {
    let message = format!("`{word}` must be a whole number, 1 or more: write `{word} = 1`");
    if !input.peek(LitInt) {
        return Err(input.error(message));
    }
    let number: LitInt = input.parse()?;
    match number.base10_parse::<u32>() {
        Ok(value) if value > 0 => Ok(number),
        _ => Err(syn::Error::new_spanned(number, message)),
    }
}

/// `handler = Name`.
pub(super) fn a_name(word: &str, input: ParseStream<'_>) -> syn::Result<Ident> {
    without_quotes(word, "the name of a generated item", input)?;
    input.parse()
}

/// `name = "..."`.
pub(super) fn a_text(word: &str, input: ParseStream<'_>) -> syn::Result<LitStr> {
    if input.peek(LitStr) {
        return input.parse();
    }
    let ahead = input.fork();
    let example = ahead.call(Ident::parse_any).map_or_else(|_| "...".to_owned(), |name| name.to_string());
    Err(input.error(format!("`{word}` must be a string: write it in quotes, `{word} = \"{example}\"`")))
}

/// `crate = "..."`.
pub(super) fn a_root(word: &str, input: ParseStream<'_>) -> syn::Result<Root> {
    let text = a_text(word, input)?;
    match text.parse_with(Path::parse_mod_style) {
        Ok(path) => Ok(Root { text, path }),
        Err(_) => Err(syn::Error::new_spanned(
            text,
            "`crate` must be the path of simple-sourcing: write e.g. `crate = \"::framework::events\"`",
        )),
    }
}

/// `manual(Debug, Clone)`: a list of known words. Reads the right ones even next to wrong ones.
pub(super) fn a_list(
    word: &str,
    known: &[&'static str],
    input: ParseStream<'_>,
    found: &mut Vec<&'static str>,
) -> syn::Result<()> {
    let content;
    let parentheses = syn::parenthesized!(content in input);
    let mut mistakes = Vec::new();
    for written in content.call(Punctuated::<Ident, Token![,]>::parse_terminated)? {
        match known.iter().find(|&&known| written == known) {
            Some(known) if found.contains(known) => {
                let message = format!("duplicate `{written}`: remove one");
                mistakes.push(syn::Error::new_spanned(written, message));
            }
            Some(known) => found.push(known),
            None => {
                let hint = match did_you_mean(&written.to_string(), known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => expected(known),
                };
                mistakes.push(syn::Error::new_spanned(&written, format!("`{word}` can't contain `{written}`: {hint}")));
            }
        }
    }
    if found.is_empty() && mistakes.is_empty() {
        let message = format!("`{word}` needs at least one of {}", list(known));
        mistakes.push(syn::Error::new(parentheses.span.join(), message));
    }
    let all = mistakes.into_iter().reduce(|mut all, mistake| {
        all.combine(mistake);
        all
    });
    all.map_or(Ok(()), Err)
}
