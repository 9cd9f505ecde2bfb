use simple_sourcing::{Described, schema::Registry, schema_of_contract};

use crate::domain::{self, Thing, ThingCommand, ThingEvent};

/// Omits what most types, variants and fields have.
const USUAL: [&str; 19] = [
    "docs: \"\",",
    "attributes: [],",
    "role: None,",
    "arguments: [],",
    "written: Declared,",
    "read: Declared,",
    "denies_unknown_fields: false,",
    "default: NoDefault,",
    "tag: None,",
    "is_transparent: false,",
    "is_compiled: true,",
    "is_written: true,",
    "is_read: true,",
    "is_untagged: false,",
    "is_other: false,",
    "is_flattened: false,",
    "skipped_if: None,",
    "written_by: None,",
    "read_by: None,",
];

fn is_usual(line: &str) -> bool {
    USUAL.contains(&line)
}

#[test]
fn all_that_the_source_says_is_data() {
    let text = format!("{:#?}", simple_sourcing::schema::<Thing>());
    let lines: Vec<&str> = text.lines().filter(|line| !is_usual(line.trim())).collect();
    // What is read under only one name is read under the name that is written.
    let mut kept = Vec::new();
    let mut rest = lines.as_slice();
    while let Some((line, behind)) = rest.split_first() {
        let is_one_name = line.ends_with("read_names: [") && behind.get(1).is_some_and(|line| line.trim() == "],");
        rest = if is_one_name { &behind[2..] } else { behind };
        kept.extend((!is_one_name).then_some(*line));
    }
    insta::assert_snapshot!("thing", kept.join("\n"));
}

#[test]
fn what_is_opaque_is_listed() {
    let opaque: Vec<String> = simple_sourcing::schema::<Thing>().opaque().iter().map(ToString::to_string).collect();
    assert_eq!(
        opaque,
        ["schema::domain::Unknown: Odd.unknown of ThingEvent, Odd.maybe of ThingEvent, Odd.custom of ThingEvent"]
    );
}

#[test]
fn a_contract_has_no_state() {
    let (whole, mut contract) = (simple_sourcing::schema::<Thing>(), schema_of_contract::<ThingCommand>());
    assert_eq!(contract.state, None);
    assert!(!contract.types.contains_key("Thing"));
    contract.state.clone_from(&whole.state);
    contract.types.extend(whole.types.get_key_value("Thing").map(|(name, ty)| (name.clone(), ty.clone())));
    assert_eq!(contract, whole);
}

#[test]
fn a_type_is_described_alone() {
    let mut registry = Registry::new();
    domain::Tree::describe(&mut registry);
    ThingEvent::describe(&mut registry);
    let types = registry.into_types();
    assert!(types["Tree"].docs == "A tree, which contains itself.");
    assert!(types.contains_key("Page<Money, 2>") && types.contains_key("Page<Option<Unit>, 1>"), "{:?}", types.keys());
}
