//! The user's attributes that are copied to the generated code: documentation, conditions, lint levels.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, MetaList, ext::IdentExt, parse_quote};

use crate::{
    parse::{condition, conditional},
    symbol::*,
};

/// The attributes with one of these words, also under a condition.
pub(crate) fn named(attrs: &[Attribute], words: &[&str]) -> Vec<TokenStream> {
    carried(attrs, |meta| words.iter().any(|word| meta.path().is_ident(word)).then(|| meta.clone()))
}

/// The lint levels. `expect` becomes `allow`, because the generated code may not trigger the lint, and `forbid` becomes
/// `deny`, so that the generated code can allow the lint again.
pub(crate) fn lints(attrs: &[Attribute]) -> Vec<TokenStream> {
    carried(attrs, |meta| {
        let Meta::List(list) = meta else { return None };
        let level = match list.path.get_ident()?.to_string().as_str() {
            ALLOW | EXPECT => parse_quote!(allow),
            WARN => parse_quote!(warn),
            DENY | FORBID => parse_quote!(deny),
            _ => return None,
        };
        Some(Meta::List(MetaList { path: level, ..list.clone() }))
    })
}

fn carried(attrs: &[Attribute], carry: impl Fn(&Meta) -> Option<Meta>) -> Vec<TokenStream> {
    let each = attrs.iter().filter_map(|attr| match condition(attr) {
        Some(condition) => {
            let metas: Vec<Meta> = conditional(attr).iter().filter_map(&carry).collect();
            (!metas.is_empty()).then(|| quote!(#[cfg_attr(#condition, #(#metas),*)]))
        }
        None => carry(&attr.meta).map(|meta| Attribute { meta, ..attr.clone() }.into_token_stream()),
    });
    each.collect()
}

/// Documentation for what is generated from a variant: `Self` means something else there, so links name the enum.
pub(crate) fn docs(attrs: &[Attribute], item: &Ident) -> Vec<TokenStream> {
    let item = item.unraw().to_string();
    let mut is_code = false;
    let mut attrs = attrs.to_vec();
    for attr in &mut attrs {
        if attr.path().is_ident(DOC)
            && let Meta::NameValue(meta) = &mut attr.meta
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &mut meta.value
        {
            let value = text.value();
            let lines: Vec<String> = value.split('\n').map(|line| linked(line, &item, &mut is_code)).collect();
            *text = LitStr::new(&lines.join("\n"), text.span());
        }
    }
    named(&attrs, &[DOC])
}

/// Whether these attributes contain documentation text, which `#[doc(hidden)]` isn't.
pub(crate) fn has_text(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident(DOC) && matches!(attr.meta, Meta::NameValue(_)))
}

/// The line, with links to `Self` replaced.
fn linked(line: &str, item: &str, is_code: &mut bool) -> String {
    let start = line.trim_start();
    if start.starts_with("```") || start.starts_with("~~~") {
        *is_code = !*is_code;
    }
    if *is_code {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once("Self") {
        out.push_str(before);
        let is_word = !behind.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        out.push_str(if is_word && begins_link(&out) { item } else { "Self" });
        rest = behind;
    }
    out + rest
}

/// Whether what follows is the target of a link: `[`, `` [` ``, `](`, `]: `, with a kind like `enum@` or without.
fn begins_link(before: &str) -> bool {
    let before = match before.rsplit_once('@') {
        Some((start, "")) => start.trim_end_matches(|letter: char| letter.is_ascii_lowercase()),
        _ => before,
    };
    let before = before.trim_end_matches(['`', '<']);
    before.ends_with('[') || before.ends_with("](") || before.trim_end().ends_with("]:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(attributes: &str) -> String {
        let item: syn::DeriveInput = syn::parse_str(&format!("{attributes} struct A;")).unwrap();
        docs(&item.attrs, &item.ident).into_iter().map(|attr| format!("{attr}\n").replace(' ', "")).collect()
    }

    #[test]
    fn links_to_self_name_the_item() {
        for (written, carried) in [
            ("[Self] and [`Self`]", "[A] and [`A`]"),
            ("[`Self::B`], [Self::B], [`Self::b()`]", "[`A::B`], [A::B], [`A::b()`]"),
            (
                "[it](Self::B), [it](Self::B \"title\"), [it](<Self::B>)",
                "[it](A::B), [it](A::B \"title\"), [it](<A::B>)",
            ),
            ("[it][Self::B] [it][`Self::B`]", "[it][A::B] [it][`A::B`]"),
            ("[it]: Self::B", "[it]: A::B"),
            ("[enum@Self], [`variant@Self::B`], [it](type@Self)", "[enum@A], [`variant@A::B`], [it](type@A)"),
            ("[`Self::B#more`]", "[`A::B#more`]"),
        ] {
            assert_eq!(linked(written, "A", &mut false), carried);
        }
    }

    #[test]
    fn what_is_no_link_to_self_stays() {
        for text in
            ["Self", "`Self::B`", "[Selfish]", "[`B::Self_`]", "[MySelf]", "(Self::B)", "mail@Self", "it is Self:"]
        {
            assert_eq!(linked(text, "A", &mut false), text);
        }
        let code = r#"#[doc = "```"] #[doc = "let b = [Self::B];"] #[doc = "```"] #[doc = "[Self::B]"]"#;
        assert!(text(code).contains("[Self::B];"), "{}", text(code));
        assert!(text(code).contains("\"[A::B]\""), "{}", text(code));
    }

    #[test]
    fn only_what_matters_is_carried() {
        let item: syn::DeriveInput = syn::parse_str(
            "#[expect(a, reason = \"b\")] #[forbid(c)] #[cfg_attr(d, allow(e), serde(f))] #[cfg_attr(g, serde(h))] \
             #[cfg_attr(i, cfg(j))] #[must_use] struct A;",
        )
        .unwrap();
        let text = |tokens: Vec<TokenStream>| tokens.iter().map(crate::text::inline).collect::<Vec<_>>();
        assert_eq!(text(lints(&item.attrs)), ["#[allow(a, reason = \"b\")]", "#[deny(c)]", "#[cfg_attr(d, allow(e))]"]);
        assert_eq!(text(named(&item.attrs, &[CFG])), ["#[cfg_attr(i, cfg(j))]"]);
    }
}
