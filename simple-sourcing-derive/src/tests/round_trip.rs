//! Which words of serde are refused, and which are not.

use super::{a_command, aggregate, an_event, assert_message, messages};

#[track_caller]
fn assert_right(variants: &str) {
    assert_eq!(messages(an_event(variants)), [""; 0]);
    assert_eq!(messages(a_command(variants)), [""; 0]);
}

#[track_caller]
fn assert_wrong(variants: &str, expected: &str) {
    assert_message(an_event(variants), expected);
    assert_message(a_command(variants), expected);
}

/// An event enum with this attribute.
fn with(attribute: &str) -> proc_macro2::TokenStream {
    super::event(
        "key = u8",
        &format!("#[serde({attribute})] enum E {{ #[create] FirstOpened {{ by_whom: u8 }}, Closed }}"),
    )
}

fn state(item: &str) -> proc_macro2::TokenStream {
    aggregate("command = C", item)
}

fn compared_by_hand(item: &str) -> proc_macro2::TokenStream {
    aggregate("command = C, manual(PartialEq)", item)
}

#[test]
fn a_field_of_an_event_or_a_command_is_not_skipped() {
    for word in
        ["skip", "skip_serializing", "skip_deserializing", "default, skip", "skip_serializing, skip_deserializing"]
    {
        for variant in [format!("A {{ #[serde({word})] b: u8 }}"), format!("A(u8, #[serde({word})] u8)")] {
            assert_message(an_event(&variant), "no reader of the event would get it");
            assert_message(a_command(&variant), "is lost on the way");
        }
    }
    assert_message(an_event("A { #[cfg_attr(x, serde(skip))] b: u8 }"), "`b` is lost");
    assert_message(an_event("A(u8, #[serde(skip)] u8)"), "field 1 of `A` is lost");
    assert_right("A { #[serde(skip)] b: std::marker::PhantomData<u8> }");
}

#[test]
fn a_field_of_a_state_is_skipped_where_it_is_not_compared() {
    for item in [
        "struct A { #[serde(skip)] b: u8 }",
        "struct A(u8, #[serde(skip)] u8);",
        "enum A { B { #[serde(skip)] b: u8 } }",
    ] {
        assert_message(state(item), "write `manual(PartialEq)` in `#[aggregate(...)]`");
        assert_eq!(messages(compared_by_hand(item)), [""; 0]);
    }
    // Then the user decides what is compared, for example with a type whose values are all equal.
    assert_eq!(messages(state("#[derive(PartialEq)] struct A { #[serde(skip)] b: Cache }")), [""; 0]);
    assert_eq!(messages(state("struct A { #[serde(skip)] b: PhantomData<u8> }")), [""; 0]);

    let one_way = |attributes| compared_by_hand(&format!("struct A {{ #[serde({attributes})] b: u8 }}"));
    assert_message(one_way("skip_serializing"), "needed to read the state: write `skip`");
    assert_eq!(messages(one_way("skip_serializing, default")), [""; 0]);
    assert_eq!(messages(one_way("skip_deserializing")), [""; 0]);
    let strict = "#[serde(deny_unknown_fields)] struct A { #[serde(skip_deserializing)] b: u8 }";
    assert_message(compared_by_hand(strict), "`deny_unknown_fields` rejects it");
}

#[test]
fn a_variant_is_written_and_read() {
    assert_wrong("#[serde(skip)] A", "`A` could never be written: remove `skip`");
    assert_wrong("#[serde(skip_serializing)] A", "could never be written");
    assert_wrong("#[serde(skip_deserializing)] A", "could never be read back");
    assert_wrong("#[serde(other)] A", "every unknown variant would be read as `A`");
    assert_wrong("#[serde(untagged)] A(u8)", "without its name");
    assert_message(state("enum A { #[serde(skip)] B, C }"), "could never be written");
}

#[test]
fn a_variant_is_written_with_its_name() {
    assert_message(with("untagged"), "remove `untagged`, or write `tag = \"type\"`");
    assert_message(with("remote = \"Other\""), "serde doesn't implement `Serialize`");
    assert_message(with("field_identifier"), "serde doesn't implement `Serialize`");
    assert_message(with("variant_identifier"), "serde doesn't implement `Serialize`");
    for right in [
        "tag = \"t\"",
        "tag = \"t\", content = \"c\"",
        "bound = \"\"",
        "deny_unknown_fields",
        "expecting = \"an event\"",
    ] {
        assert_eq!(messages(with(right)), [""; 0], "{right}");
    }
}

#[test]
fn another_type_is_written_and_read() {
    assert_message(with("into = \"Wire\""), "add `from = \"Wire\"` or `try_from = \"Wire\"`");
    assert_message(with("from = \"Wire\""), "add `into = \"Wire\"`");
    assert_message(with("try_from = \"Wire\""), "add `into = \"Wire\"`");
    assert_message(with("into = \"A\", from = \"B\""), "written as `A`, but read as `B`: use one type for both");
    assert_eq!(messages(with("into = \"a :: Wire\", try_from = \"a::Wire\"")), [""; 0]);
}

#[test]
fn a_name_that_is_written_is_read() {
    assert_wrong(
        r#"#[serde(rename(serialize = "b"))] A"#,
        "`A` is written as `b`, but read as `A`: write `rename = \"b\"`",
    );
    assert_wrong(r#"#[serde(rename(deserialize = "b"))] A"#, "`A` is written as `A`, but read as `b`");
    assert_wrong(
        r#"A { #[serde(rename(serialize = "b", deserialize = "c"))] a: u8 }"#,
        "`a` is written as `b`, but read as `c`",
    );
    assert_wrong(
        r#"#[serde(rename_all(serialize = "UPPERCASE"))] A { a: u8, b: u8 }"#,
        "use one rule, `rename_all = \"UPPERCASE\"`",
    );
    assert_right(r#"#[serde(rename(serialize = "b"), alias = "b")] A"#);
    assert_right(r#"#[serde(rename(serialize = "b", deserialize = "b", deserialize = "A"))] A"#);
    assert_right(r#"#[serde(rename_all(serialize = "UPPERCASE", deserialize = "UPPERCASE"))] A { a: u8 }"#);
    // It renames nothing.
    assert_right(r#"#[serde(rename_all(serialize = "snake_case"))] A { a: u8 }"#);

    assert_message(with(r#"rename_all(serialize = "kebab-case")"#), "`FirstOpened` is written as `first-opened`");
    assert_message(with(r#"rename_all(deserialize = "kebab-case")"#), "use one rule for both");
    assert_message(with(r#"rename_all_fields(serialize = "camelCase")"#), "`by_whom` is written as `byWhom`");
    let of_struct = r#"#[serde(rename_all(serialize = "camelCase"))] struct A { a_b: u8, c_d: u8 }"#;
    assert_message(state(of_struct), "`a_b` is written as `aB`");
}

#[test]
fn no_two_have_one_name() {
    let common = "share a wire name";
    assert_wrong(r#"A { a: u8, #[serde(rename = "a")] b: u8 }"#, common);
    assert_wrong(r#"A { a: u8, #[serde(alias = "a")] b: u8 }"#, common);
    assert_wrong(r#"#[serde(alias = "A", rename(serialize = "A", deserialize = "B"))] A, B"#, common);
    assert_message(state(r#"enum A { B, #[serde(rename = "B")] C }"#), common);
    assert_message(state(r#"struct A { a: u8, #[serde(rename = "a")] b: u8 }"#), common);
    assert_right(r#"A { #[cfg(a)] a: u8, #[cfg(not(a))] #[serde(rename = "a")] b: u8 }"#);
    assert_right(r#"A { a: u8, #[serde(flatten, rename = "a")] b: B }"#);
}

#[test]
fn what_may_be_left_out_can_be_read() {
    let unless = |more: &str, ty: &str| format!("A {{ #[serde(skip_serializing_if = \"no\"{more})] b: {ty} }}");
    assert_wrong(&unless("", "u8"), "if `b` is not written, it can't be read back: add `default`");
    assert_wrong(&unless(", with = \"own\"", "Option<u8>"), "add `default`");
    assert_right(&unless(", default", "u8"));
    assert_right(&unless(", default = \"seven\"", "u8"));
    assert_right(&unless("", "Option<u8>"));
    assert_right("A(#[serde(skip_serializing_if = \"no\")] u8)");
    assert_wrong("A(#[serde(skip_serializing_if = \"no\")] u8, u8)", "the fields after it are read in its place");
    assert_wrong("A(u8, #[serde(skip_serializing_if = \"no\")] Option<u8>)", "add `default`");
    assert_right("A(u8, #[serde(default, skip_serializing_if = \"no\")] u8)");
    let defaults = "#[serde(default)] struct A { #[serde(skip_serializing_if = \"no\")] b: u8 }";
    assert_eq!(messages(state(defaults)), [""; 0]);
}

#[test]
fn a_function_of_ones_own_is_for_both_directions() {
    assert_wrong("A { #[serde(serialize_with = \"own\")] b: u8 }", "add `deserialize_with = \"...\"`");
    assert_wrong("A { #[serde(deserialize_with = \"own\")] b: u8 }", "add `serialize_with = \"...\"`");
    assert_wrong("#[serde(serialize_with = \"own\")] A(u8)", "`A` is written by a custom function");
    assert_right(
        "A { #[serde(serialize_with = \"own\", deserialize_with = \"own\")] b: u8, #[serde(with = \"own\")] c: u8 }",
    );
}

#[test]
fn what_serde_has_to_keep_can_be_kept() {
    assert_wrong("A { #[serde(flatten)] b: HashMap<String, u128> }", "serde can't read `u128` with `flatten`");
    assert_wrong("A { #[serde(flatten)] b: BTreeMap<u8, u8> }", "can't read a map with `u8` keys");
    assert_wrong("A { #[serde(flatten)] b: Option<u8> }", "`flatten` needs named fields");
    assert_wrong("A { #[serde(flatten)] b: Vec<u8> }", "`flatten` needs named fields");
    assert_right("A { #[serde(flatten)] b: Option<Wei>, c: u128, d: BTreeMap<u8, u8> }");
    assert_right("A { #[serde(flatten, with = \"own\")] b: u128 }");

    assert_wrong("A { #[serde(flatten)] b: BTreeMap<bool, u8> }", "can't read a map with `bool` keys");
    let strict = "#[serde(tag = \"t\", deny_unknown_fields)] struct A { b: u8 }";
    assert_message(state(strict), "that `deny_unknown_fields` rejects");

    let tagged = |variant| super::event("key = u8", &format!("#[serde(tag = \"t\")] enum E {{ #[create] {variant} }}"));
    assert_message(tagged("A { b: Option<i128> }"), "serde can't read `i128` with `tag`: add `content");
    assert_message(tagged("A { b: Vec<HashMap<u64, u8>> }"), "can't read a map with `u64` keys");
    assert_message(tagged("A(u64)"), "`A` could never be written");
    assert_message(tagged("A(Option<Wei>)"), "write `A { value: Option<Wei> }`");
    for right in [
        "A(Wei)",
        "A(())",
        "A(HashMap<String, u8>)",
        "A(Box<Wei>)",
        "A { b: u64, c: Vec<u8> }",
        "#[serde(with = \"own\")] A(u8)",
    ] {
        assert_eq!(messages(tagged(right)), [""; 0], "{right}");
    }
}

#[test]
fn what_is_written_or_read_by_hand_is_not_looked_at() {
    for manual in ["Serialize", "Deserialize", "Serialize, Deserialize"] {
        let args = format!("key = u8, manual({manual})");
        assert_eq!(messages(super::event(&args, "enum E { #[create] A { #[serde(skip)] b: u8 } }")), [""; 0]);
    }
}

#[test]
fn a_command_has_no_set_that_hashes() {
    for ty in [
        "HashSet<u8>",
        "std::collections::HashSet<u8>",
        "Option<Vec<HashSet<u8>>>",
        "(u8, [HashSet<u8>; 2])",
        "HashMap<u8, HashSet<u8>>",
        "FxHashSet<u8>",
    ] {
        assert_message(
            a_command(&format!("A {{ b: {ty} }}")),
            "so a retry would be a different command: use a `BTreeSet`",
        );
        assert_eq!(messages(an_event(&format!("A {{ b: {ty} }}"))), [""; 0]);
    }
    assert_eq!(messages(a_command("A(BTreeSet<u8>, PhantomData<HashSet<u8>>, HashMap<u8, u8>)")), [""; 0]);
    assert_eq!(messages(a_command("A { #[serde(with = \"sorted\")] b: HashSet<u8> }")), [""; 0]);
}
