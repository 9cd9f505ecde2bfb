//! Every name that the macros derive from another: wire names, method names, names of generated items.

use proc_macro2::Ident;
use syn::ext::IdentExt;

/// An enum's name without its suffix: `AccountCommand` gives `Account`. A name that is only the suffix is left
/// unchanged.
pub(crate) fn base(ident: &Ident, suffix: &str) -> String {
    let name = ident.unraw().to_string();
    match name.strip_suffix(suffix) {
        Some(base) if !base.is_empty() => base.to_owned(),
        _ => name,
    }
}

/// The wire name of an aggregate: `OrderLine` is `order-line`.
pub(crate) fn kebab_case(name: &str) -> String {
    split(name, '-').replace('_', "-")
}

/// The name of a variant's method: `OrderPlaced` is `order_placed`.
pub(crate) fn snake_case(name: &str) -> String {
    split(name, '_')
}

/// Lower case, with a separator wherever a word begins: after a small letter or digit, and before the last capital of
/// an acronym.
fn split(name: &str, separator: char) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, &letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| letters.get(i));
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| match before {
                '_' => false,
                before if before.is_uppercase() => letters.get(i + 1).is_some_and(|next| next.is_lowercase()),
                _ => true,
            });
        if starts_word {
            out.push(separator);
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// The method of a variant, spelled as an identifier: `r#move`. A name that can't be one, see [`is_no_method`], gets an
/// underscore.
pub(crate) fn method(variant: &Ident) -> Ident {
    let name = snake_case(&variant.unraw().to_string());
    if is_no_method(&name) {
        Ident::new(&format!("{name}_"), variant.span())
    } else if KEYWORDS.contains(&name.as_str()) {
        Ident::new_raw(&name, variant.span())
    } else {
        Ident::new(&name, variant.span())
    }
}

/// Keywords that can't be raw identifiers either.
pub(crate) fn is_no_method(name: &str) -> bool {
    matches!(name, "self" | "super" | "crate" | "_")
}

/// The keywords of all editions: raw identifiers are valid in each.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The first letter that the wire name of an aggregate type can't contain: it is part of Kafka topic names.
pub(crate) fn forbidden_letter(wire_name: &str) -> Option<char> {
    wire_name.chars().find(|letter| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-')))
}

/// `#[serde(rename_all = "...")]`, applied to a variant exactly as serde does. serde reports an unknown rule.
pub(crate) fn rename_all(rule: &str, variant: &str) -> String {
    match rule {
        "lowercase" => variant.to_ascii_lowercase(),
        "UPPERCASE" => variant.to_ascii_uppercase(),
        "camelCase" => with_first(variant, |first| first.to_ascii_lowercase()),
        "snake_case" => serde_snake_case(variant),
        "SCREAMING_SNAKE_CASE" => serde_snake_case(variant).to_ascii_uppercase(),
        "kebab-case" => serde_snake_case(variant).replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => serde_snake_case(variant).to_ascii_uppercase().replace('_', "-"),
        _ => variant.to_owned(),
    }
}

/// `#[serde(rename_all_fields = "...")]`, or `rename_all` above fields, applied to a field exactly as serde does: it
/// assumes that the name is in snake_case.
pub(crate) fn rename_all_fields(rule: &str, field: &str) -> String {
    match rule {
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => field.to_ascii_uppercase(),
        "PascalCase" => field.split('_').map(|word| with_first(word, |first| first.to_ascii_uppercase())).collect(),
        "camelCase" => with_first(&rename_all_fields("PascalCase", field), |first| first.to_ascii_lowercase()),
        "kebab-case" => field.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => field.to_ascii_uppercase().replace('_', "-"),
        _ => field.to_owned(),
    }
}

fn with_first(word: &str, change: impl FnOnce(char) -> char) -> String {
    let mut letters = word.chars();
    letters.next().map(change).into_iter().chain(letters).collect()
}

/// serde puts a separator before every capital, so an acronym is spelled out: `HTTPFailed` is `h_t_t_p_failed`.
fn serde_snake_case(variant: &str) -> String {
    let mut out = String::with_capacity(variant.len() + 4);
    for (i, letter) in variant.char_indices() {
        if i > 0 && letter.is_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn ident(name: &str) -> Ident {
        Ident::new(name, Span::call_site())
    }

    #[test]
    fn the_suffix_is_stripped_unless_nothing_is_left() {
        assert_eq!(base(&ident("AccountEvent"), "Event"), "Account");
        assert_eq!(base(&ident("Account"), "Event"), "Account");
        assert_eq!(base(&ident("Event"), "Event"), "Event");
        assert_eq!(base(&ident("EventOfAccount"), "Event"), "EventOfAccount");
    }

    #[test]
    fn words_begin_at_capitals() {
        assert_eq!(kebab_case("OrderLine"), "order-line");
        assert_eq!(kebab_case("HTTPServer"), "http-server");
        assert_eq!(kebab_case("Order_Line"), "order-line");
        assert_eq!(snake_case("Opened"), "opened");
        assert_eq!(snake_case("Phase2Started"), "phase2_started");
        assert_eq!(snake_case("SentByHTTP"), "sent_by_http");
        assert_eq!(snake_case("Ärgerlich"), "ärgerlich");
    }

    #[test]
    fn a_method_is_always_an_identifier() {
        assert_eq!(method(&ident("Deposit")).to_string(), "deposit");
        assert_eq!(method(&ident("Move")).to_string(), "r#move");
        assert_eq!(method(&ident("Gen")).to_string(), "r#gen");
        assert_eq!(method(&Ident::new_raw("Yield", Span::call_site())).to_string(), "r#yield");
        assert_eq!(method(&ident("Super")).to_string(), "super_");
    }

    #[test]
    fn wire_names_fit_topics() {
        assert_eq!(forbidden_letter("order-line_2.v1"), None);
        assert_eq!(forbidden_letter("order line"), Some(' '));
        assert_eq!(forbidden_letter("straße"), Some('ß'));
    }

    #[test]
    fn all_rules_of_serde() {
        let renamed = |rule| rename_all(rule, "VeryTasty");
        assert_eq!(renamed("lowercase"), "verytasty");
        assert_eq!(renamed("UPPERCASE"), "VERYTASTY");
        assert_eq!(renamed("PascalCase"), "VeryTasty");
        assert_eq!(renamed("camelCase"), "veryTasty");
        assert_eq!(renamed("snake_case"), "very_tasty");
        assert_eq!(renamed("SCREAMING_SNAKE_CASE"), "VERY_TASTY");
        assert_eq!(renamed("kebab-case"), "very-tasty");
        assert_eq!(renamed("SCREAMING-KEBAB-CASE"), "VERY-TASTY");
        assert_eq!(rename_all("snake_case", "Z42"), "z42");
        assert_eq!(rename_all("snake_case", "HTTPFailed"), "h_t_t_p_failed");
    }

    #[test]
    fn all_rules_of_serde_for_fields() {
        let renamed = |rule| rename_all_fields(rule, "very_tasty");
        assert_eq!(renamed("lowercase"), "very_tasty");
        assert_eq!(renamed("UPPERCASE"), "VERY_TASTY");
        assert_eq!(renamed("PascalCase"), "VeryTasty");
        assert_eq!(renamed("camelCase"), "veryTasty");
        assert_eq!(renamed("snake_case"), "very_tasty");
        assert_eq!(renamed("SCREAMING_SNAKE_CASE"), "VERY_TASTY");
        assert_eq!(renamed("kebab-case"), "very-tasty");
        assert_eq!(renamed("SCREAMING-KEBAB-CASE"), "VERY-TASTY");
        assert_eq!(rename_all_fields("camelCase", "_z__42"), "z42");
    }
}
