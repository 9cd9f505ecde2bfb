//! The contents of a type, as tables of constants: its variants and fields, and what serde is told about them.
//! `__schema` is the module `declared` of the library.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Field, Fields, Lit, Meta, ext::IdentExt};

use super::table::Table;
use crate::{
    carried,
    parse::{Rename, SerdeNames, SerdeWords, attributes_without, serde_names},
    symbol::*,
    text::inline,
    wire::{self, Names},
};

/// Names and values of a table.
pub(super) type Entries = Vec<(&'static str, TokenStream)>;

/// The shape of a struct or an enum. `of_variants` has the additional entries of its variants, if there are any.
pub(super) fn shape(node: &DeriveInput, words: &SerdeWords, of_variants: &[Entries]) -> TokenStream {
    let names = serde_names(&node.attrs);
    let tag = words.text(TAG);
    match &node.data {
        Data::Enum(data) => {
            let tagging = match (tag, words.text(CONTENT)) {
                (Some(tag), Some(content)) => quote!(Adjacent(#tag, #content)),
                (Some(tag), None) => quote!(Internal(#tag)),
                _ if words.has(UNTAGGED) => quote!(Untagged),
                _ => quote!(External),
            };
            let variants = data.variants.iter().enumerate();
            let variants = variants.map(|(i, node)| variant(node, of_variants.get(i), &names));
            quote!(__schema::Shape::Enum { tagging: __schema::Tagging::#tagging, variants: &[#(#variants),*] })
        }
        Data::Struct(data) => {
            let place = Place { rename_all: &names.rename_all, cfgs: &[], is_custom: false };
            let fields = fields(&data.fields, &place);
            let (style, tag, is_transparent) = (style(&data.fields), tag.unwrap_or_default(), words.has(TRANSPARENT));
            quote! {
                __schema::Shape::Struct {
                    style: __schema::Style::#style,
                    fields: &[#(#fields),*],
                    tag: #tag,
                    is_transparent: #is_transparent,
                }
            }
        }
        Data::Union(_) => quote!(__schema::TYPE.shape),
    }
}

/// A type as written in the source, and the function that describes it.
pub(super) fn type_of(ty: &impl ToTokens) -> TokenStream {
    let text = inline(ty);
    quote!(__schema::TypeOf { text: #text, of: __schema::Probe::<#ty>::OF })
}

/// `#[serde(default)]`, `#[serde(default = "...")]`.
pub(super) fn default(table: &mut Table, words: &SerdeWords) {
    if let Some(function) = words.text(DEFAULT) {
        table.set("default", quote!(__schema::IfMissing::Function(#function)));
    } else if words.has(DEFAULT) {
        table.set("default", quote!(__schema::IfMissing::OfType));
    }
}

/// The attributes that are left after these words are applied.
pub(super) fn attributes(attrs: &[Attribute], applied: &[&str]) -> Vec<String> {
    attributes_without(attrs, applied).iter().map(inline).collect()
}

/// The documentation without the space before each line.
pub(super) fn docs(attrs: &[Attribute]) -> String {
    let texts = attrs.iter().filter(|attr| attr.path().is_ident(DOC)).filter_map(|attr| match &attr.meta {
        Meta::NameValue(meta) => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let texts: Vec<String> = texts.collect();
    let lines = texts.iter().flat_map(|text| text.split('\n'));
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n").trim().to_owned()
}

/// Where fields are.
struct Place<'a> {
    rename_all: &'a Rename,
    /// The conditions of the variant.
    cfgs: &'a [TokenStream],
    /// Whether a custom function writes or reads the variant.
    is_custom: bool,
}

fn variant(node: &syn::Variant, more: Option<&Entries>, of_enum: &SerdeNames) -> TokenStream {
    let (words, own, cfgs) =
        (SerdeWords::of(&node.attrs), serde_names(&node.attrs), carried::named(&node.attrs, &[CFG]));
    let mut table = Table::new(quote!(__schema::Variant));
    let name = node.ident.unraw().to_string();
    names(&mut table, &name, &wire::of_variant(node, &of_enum.rename_all));
    table.text("docs", &docs(&node.attrs));
    table.texts("attributes", &attributes(&node.attrs, &[RENAME, RENAME_ALL]));
    for (name, value) in more.into_iter().flatten() {
        table.set(name, value.clone());
    }
    directions(&mut table, &words);
    table.flag("is_untagged", words.has(UNTAGGED), false);
    table.flag("is_other", words.has(OTHER), false);
    let is_custom = words.any(&[WITH, SERIALIZE_WITH, DESERIALIZE_WITH]);
    let rename_all = wire::rule_of_fields(&own, of_enum);
    let fields = fields(&node.fields, &Place { rename_all: &rename_all, cfgs: &cfgs, is_custom });
    let style = style(&node.fields);
    if !fields.is_empty() {
        table.set("fields", quote!(&[#(#fields),*]));
    }
    compiled(table, &cfgs, quote!(__schema::variant(#name, __schema::Style::#style)))
}

fn style(fields: &Fields) -> Ident {
    let style = match fields {
        Fields::Named(_) => "Named",
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => "Newtype",
        Fields::Unnamed(_) => "Tuple",
        Fields::Unit => "Unit",
    };
    Ident::new(style, Span::call_site())
}

/// The table over its base, for something that is compiled only under these conditions.
fn compiled(mut table: Table, cfgs: &[TokenStream], base: TokenStream) -> TokenStream {
    if cfgs.is_empty() {
        return table.over(base);
    }
    table.set_if(cfgs, "is_compiled", quote!(true));
    let mut absent = table.like();
    absent.set("is_compiled", quote!(false));
    table.over(absent.over(base))
}

fn fields(fields: &Fields, place: &Place<'_>) -> Vec<TokenStream> {
    fields.iter().enumerate().map(|(index, node)| field(index, node, place)).collect()
}

fn field(index: usize, node: &Field, place: &Place<'_>) -> TokenStream {
    let words = SerdeWords::of(&node.attrs);
    let mut table = Table::new(quote!(__schema::Field));
    let name = node.ident.as_ref().map_or_else(|| index.to_string(), |name| name.unraw().to_string());
    let mut applied: &[&str] = &[];
    if let Some(ident) = &node.ident {
        names(&mut table, &name, &wire::of_field(&node.attrs, ident, place.rename_all));
        applied = &[RENAME];
    }
    table.text("docs", &docs(&node.attrs));
    table.texts("attributes", &attributes(&node.attrs, applied));
    default(&mut table, &words);
    table.flag("is_flattened", words.has(FLATTEN), false);
    directions(&mut table, &words);
    table.text("skipped_if", &words.text(SKIP_SERIALIZING_IF).unwrap_or_default());
    let (ty, text) = (&node.ty, inline(&node.ty));
    let of = match () {
        () if words.has(SKIP) => quote!(__schema::skipped),
        () if place.is_custom || words.any(&[WITH, SERIALIZE_WITH, DESERIALIZE_WITH]) => {
            quote!(__schema::custom::<#ty>)
        }
        () => quote!(__schema::Probe::<#ty>::OF),
    };
    let cfgs = [place.cfgs, &carried::named(&node.attrs, &[CFG])].concat();
    if cfgs.is_empty() {
        return table.over(quote!(__schema::field(#name, #text, #of)));
    }
    // What is not compiled may name types that don't exist.
    table.set_if(&cfgs, "of", of);
    compiled(table, &cfgs, quote!(__schema::field(#name, #text, __schema::skipped)))
}

/// The names under which something is written and read, where they differ from the name in the source.
fn names(table: &mut Table, name: &str, names: &Names) {
    let written = names.written.value();
    if written != name {
        table.text("wire_name", &written);
    }
    if names.read != [written] {
        table.texts("read_names", &names.read);
    }
}

/// Whether something is written and read, and by which function.
fn directions(table: &mut Table, words: &SerdeWords) {
    table.flag("is_written", !words.any(&[SKIP, SKIP_SERIALIZING]), true);
    table.flag("is_read", !words.any(&[SKIP, SKIP_DESERIALIZING]), true);
    let module = words.text(WITH);
    let function =
        |word| words.text(word).or_else(|| Some(format!("{}::{}", module.as_ref()?, word.strip_suffix("_with")?)));
    table.text("written_by", &function(SERIALIZE_WITH).unwrap_or_default());
    table.text("read_by", &function(DESERIALIZE_WITH).unwrap_or_default());
}
