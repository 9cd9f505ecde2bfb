//! Code as readable text. rustfmt and prettyplease do it better, but everybody who uses the macros would have to build
//! them.

use std::iter::Peekable;

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree, token_stream};
use quote::ToTokens;

use crate::symbol::DOC;

/// The maximum width of a list on one line.
const LIST_WIDTH_MAX: usize = 80;
/// The same for the fields of a pattern or a value.
const FIELDS_WIDTH_MAX: usize = 40;

/// The code with a line for each item, field, arm and statement.
pub(crate) fn format(code: TokenStream) -> String {
    let mut printer = Printer::default();
    printer.lines(code, 0);
    printer.text.push('\n');
    printer.text
}

/// A type or an attribute on one line: the same text for any spacing.
pub(crate) fn inline(code: impl ToTokens) -> String {
    let mut printer = Printer::default();
    printer.line(code.into_token_stream(), None);
    printer.text
}

#[derive(Default)]
struct Printer {
    text: String,
    /// For each open `<`, whether it is that of `impl<T>`.
    angles: Vec<bool>,
}

/// What was printed last, as far as it matters for what comes next.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    /// Nothing on this line.
    Start,
    /// A name or a literal.
    Word,
    /// `impl`.
    Impl,
    /// A word with a space after it, even before a group or a type: a keyword or a lifetime.
    Keyword,
    /// `::`.
    PathSeparator,
    /// The first part of an operator like `->`.
    Joint(char),
    Punct(char),
    Close(Delimiter),
}

type Tokens = Peekable<token_stream::IntoIter>;

impl Printer {
    fn lines(&mut self, tokens: TokenStream, depth: usize) {
        let mut tokens = tokens.into_iter().peekable();
        let (mut last, mut is_attribute, mut is_block_over) = (Last::Start, false, false);
        while let Some(token) = tokens.next() {
            if last == Last::Start {
                is_attribute = is_punct(Some(&token), '#');
                self.angles.clear();
                if !self.text.is_empty() {
                    self.text.push_str(if is_block_over && depth == 0 { "\n\n" } else { "\n" });
                }
                is_block_over = false;
                if let Some(text) = documentation(&token, &mut tokens) {
                    let lines: Vec<String> = text.lines().map(|line| format!("{}///{line}", indent(depth))).collect();
                    self.text.push_str(&lines.join("\n"));
                    continue;
                }
                self.text.push_str(&indent(depth));
            }
            last = self.token(&token, last, tokens.peek(), Some(depth));
            let is_over = match last {
                Last::Punct(';') => true,
                Last::Punct(',') => self.angles.is_empty(),
                Last::Close(Delimiter::Bracket) => is_attribute,
                Last::Close(Delimiter::Brace) => !goes_on(tokens.peek()),
                _ => false,
            };
            if is_over {
                is_block_over = last == Last::Close(Delimiter::Brace) || last == Last::Punct(';');
                last = Last::Start;
            }
        }
    }

    /// Tokens that don't begin a line. With a depth, a long list among them gets a line for each entry.
    fn line(&mut self, tokens: TokenStream, depth: Option<usize>) {
        let mut tokens = tokens.into_iter().peekable();
        let mut last = Last::Start;
        while let Some(token) = tokens.next() {
            last = self.token(&token, last, tokens.peek(), depth);
        }
    }

    fn token(&mut self, token: &TokenTree, last: Last, next: Option<&TokenTree>, depth: Option<usize>) -> Last {
        if is_apart(last, token, next) {
            self.text.push(' ');
        }
        match token {
            TokenTree::Group(group) => {
                self.group(group, depth);
                Last::Close(group.delimiter())
            }
            TokenTree::Ident(word) => {
                let word = word.to_string();
                let is_lifetime = matches!(last, Last::Joint('\''));
                self.text.push_str(&word);
                match word.as_str() {
                    "impl" => Last::Impl,
                    word if is_lifetime || KEYWORDS.contains(&word) => Last::Keyword,
                    _ => Last::Word,
                }
            }
            TokenTree::Literal(literal) => {
                self.text.push_str(&literal.to_string());
                Last::Word
            }
            TokenTree::Punct(punct) => {
                self.text.push(punct.as_char());
                match (punct.as_char(), punct.spacing(), last) {
                    (':', _, Last::Joint(':')) => Last::PathSeparator,
                    ('>', _, Last::Joint('-' | '=')) => Last::Punct('='),
                    ('<', ..) => {
                        self.angles.push(last == Last::Impl);
                        Last::Punct('<')
                    }
                    ('>', ..) if self.angles.pop() == Some(true) => Last::Keyword,
                    (letter, Spacing::Joint, _) if !matches!(letter, '>' | '&' | ',' | ';') => Last::Joint(letter),
                    (letter, ..) => Last::Punct(letter),
                }
            }
        }
    }

    fn group(&mut self, group: &Group, depth: Option<usize>) {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::None => ("", ""),
        };
        let is_attribute = self.text.ends_with('#') || self.text.ends_with("#!");
        self.text.push_str(open);
        if is_attribute && group.delimiter() == Delimiter::Bracket {
            self.line(group.stream(), depth);
            self.text.push_str(close);
            return;
        }
        let mut inline = Printer::default();
        inline.line(group.stream(), None);
        let fits = match group.delimiter() {
            Delimiter::Brace => inline.text.len() <= FIELDS_WIDTH_MAX && is_plain(group),
            _ => inline.text.len() <= LIST_WIDTH_MAX,
        };
        match depth.filter(|_| !fits && !group.stream().is_empty()) {
            Some(depth) => {
                self.lines(group.stream(), depth + 1);
                self.text.push('\n');
                self.text.push_str(&indent(depth));
            }
            None if group.delimiter() == Delimiter::Brace && !inline.text.is_empty() => {
                self.text.push_str(&format!(" {} ", inline.text));
            }
            None => self.text.push_str(&inline.text),
        }
        self.text.push_str(close);
    }
}

/// These have a space after them, even before a group or a type.
const KEYWORDS: &[&str] = &[
    "as", "const", "dyn", "else", "enum", "if", "in", "let", "match", "move", "mut", "ref", "return", "struct",
    "trait", "type", "use", "where",
];

/// Whether there is a space before the token.
fn is_apart(last: Last, token: &TokenTree, next: Option<&TokenTree>) -> bool {
    match (last, token) {
        (Last::Start | Last::PathSeparator | Last::Joint(_), _) => false,
        (Last::Punct('&' | '!' | '#' | '\'' | '$' | '<' | '*' | '.'), _) => false,
        (Last::Punct('>'), TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        (_, TokenTree::Punct(punct)) => match punct.as_char() {
            ',' | ';' | '.' | '?' | '>' => false,
            // A path begins or continues; `a: B` otherwise.
            ':' if is_punct(next, ':') => !matches!(last, Last::Word | Last::Punct('>')),
            ':' => false,
            '<' => !matches!(last, Last::Word | Last::Impl),
            '!' => !matches!(last, Last::Word),
            _ => true,
        },
        (Last::Word | Last::Close(_), TokenTree::Group(group)) => match group.delimiter() {
            Delimiter::Brace => true,
            Delimiter::None => matches!(last, Last::Word),
            _ => false,
        },
        _ => true,
    }
}

/// Whether the line continues after a block.
fn goes_on(next: Option<&TokenTree>) -> bool {
    match next {
        Some(TokenTree::Punct(punct)) => matches!(punct.as_char(), ',' | ';' | '.' | '?' | '='),
        Some(TokenTree::Ident(word)) => word == "else",
        _ => false,
    }
}

/// Whether a block can be on one line: the fields of a pattern or a value, and no code.
fn is_plain(group: &Group) -> bool {
    group.stream().into_iter().all(|token| match token {
        TokenTree::Punct(punct) => !matches!(punct.as_char(), ';' | '=' | '#'),
        TokenTree::Group(group) => group.delimiter() != Delimiter::Brace,
        _ => true,
    })
}

/// Consumes `#[doc = "..."]` and returns its text.
fn documentation(token: &TokenTree, tokens: &mut Tokens) -> Option<String> {
    let Some(TokenTree::Group(group)) = tokens.peek() else { return None };
    let mut inner = group.stream().into_iter();
    let is_doc = is_punct(Some(token), '#') && matches!(inner.next(), Some(TokenTree::Ident(word)) if word == DOC);
    let text = match (is_doc && is_punct(inner.next().as_ref(), '='), inner.next()) {
        (true, Some(TokenTree::Literal(text))) => {
            syn::parse2::<syn::LitStr>(TokenTree::from(text).into()).ok()?.value()
        }
        _ => return None,
    };
    tokens.next();
    Some(text)
}

fn is_punct(token: Option<&TokenTree>, letter: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == letter)
}

fn indent(depth: usize) -> String {
    "    ".repeat(depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::snapshots;

    /// All tokens in their order, without documentation, which may be written in two ways.
    fn flat(tokens: TokenStream, found: &mut Vec<String>) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            if documentation(&token, &mut tokens).is_some() {
                continue;
            }
            match token {
                TokenTree::Group(group) => {
                    found.push(format!("{:?}", group.delimiter()));
                    flat(group.stream(), found);
                    found.push("end".to_owned());
                }
                token => found.push(token.to_string()),
            }
        }
    }

    #[test]
    fn the_text_is_the_code() {
        for (name, code) in snapshots::all() {
            let text = format(code.clone());
            let again: TokenStream = text.parse().unwrap();
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            flat(code, &mut expected);
            flat(again, &mut found);
            assert_eq!(expected, found, "{name}:\n{text}");
            assert!(text.lines().all(|line| !line.ends_with(' ')), "{name}:\n{text}");
        }
    }

    #[test]
    fn a_type_has_one_text() {
        for text in [
            "HashMap<String, Vec<Option<u8>>>",
            "(u8, [u8; 4], ())",
            "::std::sync::Arc<dyn Fn(&'static str, u8) -> Box<u8> + Send>",
            "<Vec<u8> as IntoIterator>::Item",
            "fn(&mut u8) -> !",
            "#[serde(default, with = \"own::module\")]",
            "#[cfg(all(test, not(feature = \"x\")))]",
        ] {
            let code: TokenStream = text.parse().unwrap();
            assert_eq!(inline(&code), text);
            let spaced: TokenStream = code.to_string().parse().unwrap();
            assert_eq!(inline(&spaced), text);
        }
    }

    #[test]
    fn it_is_laid_out_to_be_read() {
        let code = "
            /// A point.
            #[derive(Clone)] pub struct Point<'a, T: Into<&'static [u8]>> where T: Copy { pub(crate) x: Map<A, B>, y: (u8, T) }
            impl<T> ::core::clone::Clone for Point<T> {
                fn clone(&self) -> <T as A>::B { let _ = (a, *b); match self { Self::X { .. } => ::core::panic!(\"{}\", x?), _ => {} } }
            }
        ";
        insta::assert_snapshot!(format(code.parse().unwrap()), @r#"
        /// A point.
        #[derive(Clone)]
        pub struct Point<'a, T: Into<&'static [u8]>> where T: Copy { pub(crate) x: Map<A, B>, y: (u8, T) }

        impl<T> ::core::clone::Clone for Point<T> {
            fn clone(&self) -> <T as A>::B {
                let _ = (a, *b);
                match self {
                    Self::X { .. } => ::core::panic!("{}", x?),
                    _ => {}
                }
            }
        }
        "#);
    }
}
