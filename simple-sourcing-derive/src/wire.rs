//! Wire names: the name that serde writes for a variant or a field, and those that it reads.

use proc_macro2::{Ident, Span};
use syn::{Attribute, LitStr, ext::IdentExt};

use crate::{
    naming,
    parse::{Rename, SerdeNames, serde_names},
};

/// The wire names of a variant or a field.
pub(crate) struct Names {
    pub(crate) written: LitStr,
    pub(crate) read: Vec<String>,
}

impl Names {
    /// Whether the name that is written is also read.
    pub(crate) fn is_read_back(&self) -> bool {
        self.read.contains(&self.written.value())
    }

    /// All of them, to compare them with those of others.
    pub(crate) fn all(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.written.value()).chain(self.read.iter().cloned())
    }
}

/// The names of a variant, under the rule of its enum.
pub(crate) fn of_variant(node: &syn::Variant, rename_all: &Rename) -> Names {
    names(&node.attrs, &node.ident, node.ident.span(), rename_all, naming::rename_all)
}

/// The names of a field, under the rule of its variant, its enum or its struct.
pub(crate) fn of_field(attrs: &[Attribute], name: &Ident, rename_all: &Rename) -> Names {
    names(attrs, name, name.span(), rename_all, naming::rename_all_fields)
}

/// The rule for the fields of a variant: its own, else that of its enum, in each direction.
pub(crate) fn rule_of_fields(of_variant: &SerdeNames, of_enum: &SerdeNames) -> Rename {
    let (own, all) = (&of_variant.rename_all, &of_enum.rename_all_fields);
    Rename {
        written: own.written.clone().or_else(|| all.written.clone()),
        read: if own.read.is_empty() { all.read.clone() } else { own.read.clone() },
        tokens: if own.is_given() { own.tokens.clone() } else { all.tokens.clone() },
    }
}

fn names(attrs: &[Attribute], ident: &Ident, at: Span, all: &Rename, apply: impl Fn(&str, &str) -> String) -> Names {
    let own = serde_names(attrs);
    let ident = ident.unraw().to_string();
    let ruled = |rule: Option<&LitStr>| rule.map_or_else(|| ident.clone(), |rule| apply(&rule.value(), &ident));
    let written = own.rename.written.unwrap_or_else(|| LitStr::new(&ruled(all.written.as_ref()), at));
    let mut read: Vec<String> = own.rename.read.iter().map(LitStr::value).collect();
    if read.is_empty() {
        read.push(ruled(all.read.first()));
    }
    read.extend(own.aliases.iter().map(LitStr::value));
    Names { written, read }
}
