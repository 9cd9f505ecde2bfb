//! Collects mistakes, so that one compilation reports all of them.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far. Whoever makes one must end it with [`Errors::check`].
#[must_use]
#[derive(Default)]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
}

impl Errors {
    /// Adds a mistake.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    /// Adds a mistake at the user's tokens.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a mistake about the whole attribute: something is missing from it.
    pub(crate) fn at_attribute(&mut self, message: impl Display) {
        self.push(syn::Error::new(Span::call_site(), message));
    }

    /// Ends the collection. If it contains mistakes, returns the tokens that report all of them.
    pub(crate) fn check(mut self) -> Result<(), TokenStream> {
        let found = std::mem::take(&mut self.found);
        if found.is_empty() { Ok(()) } else { Err(found.iter().map(syn::Error::to_compile_error).collect()) }
    }
}

#[cfg(test)]
impl Drop for Errors {
    fn drop(&mut self) {
        assert!(self.found.is_empty() || std::thread::panicking(), "mistakes were collected and not reported");
    }
}

/// The word that was probably meant.
pub(crate) fn did_you_mean(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let close = |candidate: &str| {
        let longest = word.chars().count().max(candidate.chars().count());
        let distance = distance(word, candidate);
        (distance <= 1 + longest / 6 && distance < longest).then_some(distance)
    };
    known.iter().filter_map(|&candidate| Some((close(candidate)?, candidate))).min().map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove or replace.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let cost = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, cost);
            left = cost;
        }
        row.iter_mut().take(1).for_each(|first| *first = i + 1);
    }
    row.last().copied().unwrap_or_default()
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

/// ``expected one of `a`, `b` or `c` ``.
pub(crate) fn expected(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("expected one of {} or `{last}`", first.join(", "))
        }
        _ => format!("expected {}", list(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        assert_eq!(distance("create", "create"), 0);
        assert_eq!(distance("creat", "create"), 1);
        assert_eq!(distance("craete", "create"), 2);
        assert_eq!(distance("created", "create"), 1);
        assert_eq!(distance("", "key"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_close_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("projecter", &["applier", "projector"]), Some("projector"));
        assert_eq!(did_you_mean("ky", &["key", "name"]), Some("key"));
        assert_eq!(did_you_mean("default", &["create", "delete"]), None);
        assert_eq!(did_you_mean("String", &["key", "name", "applier", "projector", "crate"]), None);
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(expected(&["a"]), "expected `a`");
        assert_eq!(expected(&["a", "b", "c"]), "expected one of `a`, `b` or `c`");
    }

    #[test]
    #[should_panic(expected = "not reported")]
    fn a_collection_that_is_not_checked_is_noticed() {
        let mut errors = Errors::default();
        errors.at_attribute("lost");
    }
}
