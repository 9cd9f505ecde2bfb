//! What `describe` shows of a type: its declaration as it is on the wire, line by line.
//!
//! Names are those that serde writes. Whatever else may have a say in it, other words of serde and conditions, stands there as
//! it was written: it can't be applied here, and a change of it is to show, too.

use proc_macro2::Ident;
use syn::{Attribute, Data, Field, Fields, Member, ext::IdentExt};

use crate::{
    model::{Aggregate, Command, Event, EventRole, Expected, Item},
    parse::{Rename, attributes_without, is_skipped_by_serde, serde_names},
    symbol::*,
    text::inline,
    wire,
};

/// A longer line is broken: a line for each field.
const LINE_WIDTH_MAX: usize = 100;

pub(crate) fn event(event: &Event) -> Vec<String> {
    let Event { item, key, aggregate, variants, .. } = event;
    let mut lines = vec![
        format!("aggregate: {}", aggregate.value()),
        format!("key: {}", inline(key)),
        format!("event: {}", type_name(item, EVENT)),
    ];
    for variant in variants {
        let role = match variant.role {
            EventRole::Create => "create",
            EventRole::Change => "change",
            EventRole::Delete => "delete",
        };
        lines.extend(of_variant(&format!("    {role}  "), item, &variant.node));
    }
    lines
}

pub(crate) fn command(command: &Command) -> Vec<String> {
    let Command { item, error, client, variants, .. } = command;
    let mut lines = vec![
        format!("command: {}", type_name(item, COMMAND)),
        format!("error: {}", inline(error)),
        format!("client: {client}"),
    ];
    for variant in variants {
        let role = match variant.role.state {
            Expected::Absent => "create",
            Expected::Present => "update",
            Expected::Either => "upsert",
        };
        let method = variant.method.unraw();
        lines.extend(of_variant(&format!("    {role}  {method}: "), item, &variant.node));
    }
    lines
}

pub(crate) fn aggregate(aggregate: &Aggregate) -> Vec<String> {
    let Aggregate { item, .. } = aggregate;
    let head = format!("state: {}", type_name(item, AGGREGATE));
    match &item.node.data {
        Data::Struct(data) => with_fields(head, "", &data.fields, &serde_names(&item.node.attrs).rename_all),
        Data::Enum(data) => {
            let variants = data.variants.iter().flat_map(|variant| of_variant("    ", item, variant));
            std::iter::once(head).chain(variants).collect()
        }
        Data::Union(_) => vec![head],
    }
}

/// The name of the type, behind what is said of it as a whole.
fn type_name(item: &Item, macro_name: &str) -> String {
    let Item { node, manual, .. } = item;
    let by_hand: Vec<&str> =
        manual.iter().copied().filter(|word| [SERIALIZE_DERIVE, DESERIALIZE_DERIVE].contains(word)).collect();
    let by_hand = (!by_hand.is_empty()).then(|| format!("#[{macro_name}({MANUAL}({}))] ", by_hand.join(", ")));
    let attributes = attributes(&node.attrs, &[RENAME_ALL, RENAME_ALL_FIELDS, CRATE]);
    format!("{}{attributes}{}", by_hand.unwrap_or_default(), node.ident)
}

fn of_variant(start: &str, item: &Item, variant: &syn::Variant) -> Vec<String> {
    let (all, own) = (serde_names(&item.node.attrs), serde_names(&variant.attrs));
    let attributes = attributes(&variant.attrs, &[RENAME, RENAME_ALL]);
    let head = format!("{start}{attributes}{}", wire::of_variant(variant, &all.rename_all).written.value());
    with_fields(head, "    ", &variant.fields, &wire::rule_of_fields(&own, &all))
}

/// `Opened { owner: String }`, with a line for each field where one does not hold them.
fn with_fields(head: String, indent: &str, fields: &Fields, rename_all: &Rename) -> Vec<String> {
    let (open, space, close) = match fields {
        Fields::Named(_) => (" {", " ", "}"),
        Fields::Unnamed(_) => ("(", "", ")"),
        Fields::Unit => return vec![head],
    };
    let texts = fields.members().zip(fields).filter_map(|(member, field)| match member {
        Member::Named(name) => named(&name, field, rename_all),
        Member::Unnamed(_) => Some(format!("{}{}", attributes(&field.attrs, &[]), inline(&field.ty))),
    });
    let texts: Vec<String> = texts.collect();
    let space = if texts.is_empty() { "" } else { space };
    let line = format!("{head}{open}{space}{}{space}{close}", texts.join(", "));
    if line.len() <= LINE_WIDTH_MAX {
        return vec![line];
    }
    let texts = texts.iter().map(|text| format!("{indent}    {text},"));
    std::iter::once(format!("{head}{open}")).chain(texts).chain([format!("{indent}{close}")]).collect()
}

/// `owner: String`, unless serde passes over it. A field without a name leaves its mark on those behind it and is always
/// shown.
fn named(name: &Ident, field: &Field, rename_all: &Rename) -> Option<String> {
    if is_skipped_by_serde(&field.attrs) {
        return None;
    }
    let name = wire::of_field(&field.attrs, name, rename_all).written.value();
    Some(format!("{}{name}: {}", attributes(&field.attrs, &[RENAME]), inline(&field.ty)))
}

/// The attributes that are left when these words are applied, each with a space behind it.
fn attributes(attrs: &[Attribute], applied: &[&str]) -> String {
    attributes_without(attrs, applied).iter().map(|attr| format!("{} ", inline(attr))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnostics::Errors, model, parse};

    fn event(args: &str, item: &str) -> String {
        let mut errors = Errors::default();
        let input = parse::event(args.parse().unwrap(), item.parse().unwrap(), &mut errors);
        errors.check().unwrap();
        super::event(&model::Event::new(input.unwrap())).join("\n")
    }

    fn state(args: &str, item: &str) -> String {
        let mut errors = Errors::default();
        let input = parse::aggregate(args.parse().unwrap(), item.parse().unwrap(), &mut errors);
        errors.check().unwrap();
        aggregate(&model::Aggregate::new(input.unwrap())).join("\n")
    }

    #[test]
    fn names_are_those_of_serde_and_its_other_words_are_shown() {
        let text = event(
            r#"key = ids::Number<u8>, name = "files.v1", manual(Debug, Deserialize)"#,
            r#"
            #[derive(Eq)]
            #[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase", crate = "own")]
            #[cfg_attr(feature = "strict", serde(deny_unknown_fields), allow(unused))]
            #[cfg_attr(feature = "lax", allow(unused))]
            enum FileEvent {
                /// Documentation does not matter.
                #[create] FirstOpened { file_name: String, #[serde(rename = "BY")] opened_by: Option<String> },
                #[serde(rename(serialize = "PUT", deserialize = "put"), alias = "written", rename_all = "UPPERCASE")]
                Written { bytes_written: u32, #[serde(default, rename = "at", with = "own::time")] r#as: Time },
                Cached { #[serde(skip)] line: u8, #[serde(skip_serializing)] page: u8 },
                #[cfg(feature = "parts")]
                Split(#[serde(skip)] u8, #[serde(serialize_with = "own")] u8),
                #[delete] r#Gone,
            }
            "#,
        );
        insta::assert_snapshot!(text, @r##"
        aggregate: files.v1
        key: ids::Number<u8>
        event: #[event(manual(Deserialize))] #[serde(tag = "type")] #[cfg_attr(feature = "strict", serde(deny_unknown_fields), allow(unused))] FileEvent
            create  first-opened { fileName: String, BY: Option<String> }
            change  #[serde(rename(serialize = "PUT", deserialize = "put"), alias = "written")] PUT {
                BYTES_WRITTEN: u32,
                #[serde(default, with = "own::time")] at: Time,
            }
            change  cached { #[serde(skip_serializing)] page: u8 }
            change  #[cfg(feature = "parts")] split(#[serde(skip)] u8, #[serde(serialize_with = "own")] u8)
            delete  gone
        "##);
    }

    #[test]
    fn a_long_line_is_broken() {
        let text = event(
            "key = u8",
            "enum ShapeEvent {
                #[create] Drawn { corners_of_the_shape: Vec<(f64, f64)>, color_of_the_shape: Option<Color>, of: HashMap<A, B> },
                Moved(HashMap<CornersOfTheShape, Vec<(f64, f64)>>, HashMap<ColorsOfTheShape, Vec<(f64, f64)>>),
            }",
        );
        insta::assert_snapshot!(text, @"
        aggregate: shape
        key: u8
        event: ShapeEvent
            create  Drawn {
                corners_of_the_shape: Vec<(f64, f64)>,
                color_of_the_shape: Option<Color>,
                of: HashMap<A, B>,
            }
            change  Moved(
                HashMap<CornersOfTheShape, Vec<(f64, f64)>>,
                HashMap<ColorsOfTheShape, Vec<(f64, f64)>>,
            )
        ");
        let text = state(
            "command = C",
            "struct Shape { corners_of_the_shape: Vec<(f64, f64)>, color_of_the_shape: Option<Color>, of: HashMap<A, B> }",
        );
        insta::assert_snapshot!(text, @"
        state: Shape {
            corners_of_the_shape: Vec<(f64, f64)>,
            color_of_the_shape: Option<Color>,
            of: HashMap<A, B>,
        }
        ");
    }

    #[test]
    fn a_state_is_a_struct_of_any_shape_or_an_enum() {
        let described = |item| state("command = C", item);
        assert_eq!(described("struct A;"), "state: A");
        assert_eq!(described("struct A(u8, Vec<Self>);"), "state: A(u8, Vec<Self>)");
        assert_eq!(described("#[serde(transparent)] struct A { a: u8 }"), "state: #[serde(transparent)] A { a: u8 }");
        assert_eq!(described("#[serde(rename_all = \"UPPERCASE\")] struct A { a_b: u8 }"), "state: A { A_B: u8 }");
        let life_cycle = r#"
            #[serde(rename_all = "lowercase", rename_all_fields = "PascalCase")]
            enum Order { Draft, #[serde(rename = "PLACED")] Placed { at_time: u64 } }
        "#;
        assert_eq!(described(life_cycle), "state: Order\n    draft\n    PLACED { AtTime: u64 }");
        let by_hand = state("command = C, manual(Serialize, Deserialize, Clone)", "struct A;");
        assert_eq!(by_hand, "state: #[aggregate(manual(Serialize, Deserialize))] A");
    }
}
