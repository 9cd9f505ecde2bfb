//! The pipeline from end to end: the mistakes that are reported, and the parts of the code that depend on names.

mod round_trip;
pub(crate) mod snapshots;

use proc_macro2::{TokenStream, TokenTree};

use crate::pipeline;

/// The messages of the `compile_error!`s in the code.
fn messages(code: TokenStream) -> Vec<String> {
    let mut tokens = code.into_iter();
    let mut found = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "compile_error" => {
                let Some(TokenTree::Group(arguments)) = tokens.nth(1) else { continue };
                let message = syn::parse2::<syn::LitStr>(arguments.stream());
                found.push(message.map_or_else(|error| error.to_string(), |message| message.value()));
            }
            TokenTree::Group(group) => found.extend(messages(group.stream())),
            _ => {}
        }
    }
    found
}

/// Asserts that the code contains this, regardless of spacing.
#[track_caller]
fn assert_contains(code: &TokenStream, part: &str) {
    let packed = |text: &str| text.split_whitespace().collect::<String>();
    assert!(packed(&code.to_string()).contains(&packed(part)), "`{part}` is not in:\n{code}");
}

#[track_caller]
fn assert_message(code: TokenStream, expected: &str) {
    let messages = messages(code);
    assert!(messages.len() == 1 && messages.iter().all(|message| message.contains(expected)), "{messages:#?}");
}

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap()
}

fn event(args: &str, item: &str) -> TokenStream {
    pipeline::event(tokens(args), tokens(item))
}

fn command(args: &str, item: &str) -> TokenStream {
    pipeline::command(tokens(args), tokens(item))
}

fn aggregate(args: &str, item: &str) -> TokenStream {
    pipeline::aggregate(tokens(args), tokens(item))
}

fn key(item: &str) -> TokenStream {
    pipeline::key(tokens(item))
}

/// An event enum that is right except for these variants.
fn an_event(variants: &str) -> TokenStream {
    event("key = String", &format!("pub enum AccountEvent {{ #[create] Opened {{ owner: String }}, {variants} }}"))
}

/// A command enum that is right except for these variants.
fn a_command(variants: &str) -> TokenStream {
    let item = format!("pub enum AccountCommand {{ #[create] Open {{ owner: String }}, {variants} }}");
    command("event = AccountEvent, error = AccountError", &item)
}

#[test]
fn names_come_from_the_enum() {
    let code = an_event("SentByHTTP(u8), Move(u8, u16), #[delete] Closed");
    assert_eq!(messages(code.clone()), [""; 0]);
    assert_contains(&code, r#"const AGGREGATE: &'static str = "account";"#);
    assert_contains(&code, "pub trait AccountApplier");
    assert_contains(&code, "pub trait AccountProjector");
    assert_contains(&code, "fn opened(owner: String) -> Self;");
    assert_contains(&code, "fn sent_by_http(&mut self, value: u8);");
    assert_contains(&code, "fn r#move(&mut self, value_0: u8, value_1: u16);");
    assert_contains(&code, r#"EventVariant { name: "Closed", role: ::simple_sourcing::__private::EventRole::Delete }"#);
}

#[test]
fn names_can_be_overridden() {
    let args = r#"key = Id, name = "orders.v1", applier = Apply, projector = Project, crate = "framework::es""#;
    let code = event(args, "enum Happened { #[create] A }");
    assert_eq!(messages(code.clone()), [""; 0]);
    assert_contains(&code, r#"const AGGREGATE: &'static str = "orders.v1";"#);
    assert_contains(&code, "impl framework::es::__private::Event for Happened");
    assert_contains(&code, r#"#[serde(crate = "framework::es::__private::serde")]"#);
    assert_contains(&code, "trait Apply");
    assert_contains(&code, "trait Project");
}

#[test]
fn wire_names_are_those_of_serde() {
    let code = event(
        "key = u8",
        r#"
        #[serde(tag = "type", rename_all = "kebab-case")]
        enum AccountEvent {
            #[create] FirstOpened,
            #[serde(rename = "put")] Deposited,
            #[serde(alias = "taken", rename(deserialize = "a", serialize = "taken"))] Withdrawn,
        }
        "#,
    );
    for name in ["first-opened", "put", "taken"] {
        assert_contains(&code, &format!(r#"EventVariant {{ name: "{name}","#));
    }
}

#[test]
fn parameters_of_ours_give_way_to_fields() {
    let code = an_event("Changed { meta: u8, meta_: u8 }");
    assert_contains(&code, "meta__: &::simple_sourcing::__private::EventMeta<String>, meta: u8, meta_: u8");
    let code = a_command("#[upsert] #[context] Note { key: u8, this: u8, context: u8 }");
    assert_contains(&code, "fn note(this_: ::core::option::Option<&Self>, context_: &");
    assert_contains(&code, "key_: impl");
}

#[test]
fn the_enum_is_called_self_only_in_itself() {
    assert_contains(&an_event("Undone { what: Box<Self> }"), "what: Box<AccountEvent>");
}

#[test]
fn derives_are_added_once() {
    let code = aggregate(
        "command = C",
        r#"#[derive(Eq, PartialEq, serde::Serialize)] #[serde(crate = "my::serde")] struct A;"#,
    );
    let added = r#"
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::simple_sourcing::__private::serde::Deserialize)]
        #[derive(Eq, PartialEq, serde::Serialize)]
        #[serde(crate = "my::serde")]
        struct A;
    "#;
    assert_contains(&code, added);
}

#[test]
fn derives_are_left_to_the_user() {
    let code = aggregate("command = C, manual(Debug, Serialize, Deserialize)", "struct A;");
    assert_contains(&code, "#[derive(::core::clone::Clone, ::core::cmp::PartialEq)] struct A;");
    let code = aggregate("command = C, manual(Debug, Clone, PartialEq, Serialize, Deserialize)", "struct A;");
    assert!(code.to_string().starts_with("struct A ;"), "{code}");
}

#[test]
fn what_serde_does_not_read_may_be_a_reference() {
    let code = aggregate("command = C, manual(PartialEq)", "struct A { #[serde(skip)] a: &'static str }");
    assert_eq!(messages(code), [""; 0]);
    assert_eq!(messages(an_event("A { #[serde(skip)] a: PhantomData<&'static u8> }")), [""; 0]);
    assert_eq!(messages(an_event("#[serde(with = \"own\")] A(Option<&'static str>)")), [""; 0]);
    let code = event("key = u8, manual(Deserialize)", "enum E { #[create] A(&'static str) }");
    assert_eq!(messages(code), [""; 0]);
}

#[test]
fn documentation_conditions_and_deprecation_are_carried() {
    let code = a_command(
        r#"
        /// Puts money in.
        #[cfg(feature = "x")]
        #[deprecated(note = "no")]
        Deposit { #[cfg(feature = "y")] amount: u64 },
        Close,
    "#,
    );
    let carried = r#"#[doc = " Puts money in."] #[cfg(feature = "x")] #[deprecated(note = "no")]"#;
    assert_contains(&code, &format!(r#"{carried} fn deposit(&self, #[cfg(feature = "y")] amount: u64)"#));
    assert_contains(&code, &format!("{carried} pub fn deposit(&self, key: impl"));
    assert_contains(&code, r#"#[doc = "Sends [`AccountCommand::Close`]."] pub fn close"#);
}

#[test]
fn all_mistakes_are_reported_together() {
    let code = event(
        r#"nme = "x", applier = "Quoted", projector"#,
        "enum AccountEvent { #[creat] #[delete] A, #[upsert] B, HTTPFailed, HttpFailed }",
    );
    assert_eq!(
        messages(code),
        [
            "`#[event]` has no option `nme`: did you mean `name`?",
            "`applier` must be the name of a generated item: write it without quotes, `applier = Quoted`",
            "`projector` needs a value: write `projector = Name`",
            "`#[event]` has no helper attribute `#[creat]`: did you mean `#[create]`?",
            "`#[upsert]` can't be used with `#[event]`: it marks a command, in the `#[command]` enum",
            "`#[event]` needs `key`: write `#[event(key = String)]`",
            "`A` can't be both `#[create]` and `#[delete]`: remove one",
            "`HttpFailed` and `HTTPFailed` both have the method `http_failed`: rename one of them",
        ]
    );
}

#[test]
fn one_mistake_is_one_message() {
    let events = "enum AccountEvent { #[create] Opened }";
    let event = |args| event(args, events);
    assert_message(event(""), "needs `key`");
    assert_message(event("ky = String"), "did you mean `key`?");
    assert_message(event("String"), "did you mean `key = String`?");
    assert_message(event("key"), "`key` needs a value: write `key = String`");
    assert_message(event(r#"key =, name = "x""#), "`key` needs a value");
    assert_message(command("event = E, error = F, context = true", "enum C { #[create] A }"), "takes no value");
    assert_message(event(r#"key = "String""#), "without quotes, `key = String`");
    assert_message(event("key = u8, key = u8"), "duplicate option `key`");
    assert_message(event("key = u8, topic = Map<A, B>"), "no option `topic`: expected one of `key`, `name`");
    assert_message(event(r#"key = u8 name = "x""#), "expected `,` between options");
    assert_message(event("key = u8, name = account"), "in quotes, `name = \"account\"`");
    assert_message(event(r#"key = u8, name = """#), "can't be empty");
    assert_message(event(r#"key = u8, name = "a b""#), "can't contain ` `");
    assert_message(event(r#"key = u8, crate = "a b""#), "must be the path of simple-sourcing");
    assert_message(event("key = u8, applier = A, projector = A"), "is used for two items");
    assert_message(event("key = u8, manual(Dbug)"), "did you mean `Debug`?");
    assert_message(event("key = u8, manual(Hash, Debug)"), "expected one of `Debug`, `Clone`");
    assert_message(event("key = u8, manual(Debug, Debug)"), "duplicate `Debug`");
    assert_message(event("key = u8, manual()"), "at least one of");
    assert_message(event("key = u8, manual = Debug"), "needs a list: write `manual(Debug, Clone)`");
    assert_message(event("key = u8, manual"), "needs a list");
}

#[test]
fn every_wrong_shape_has_a_message() {
    let event = |item| event("key = u8", item);
    assert_message(event("struct E;"), "can only be applied to an enum");
    assert_message(event("union E { a: u8 }"), "can only be applied to an enum");
    assert_message(event("fn f() {}"), "can only be applied to an enum");
    assert_message(event("enum E {}"), "has no variants");
    assert_message(event("enum E<T> { #[create] A(T) }"), "can't have generics");
    assert_message(event("enum E where u8: Copy, { #[create] A }"), "can't have generics");
    assert_message(event("enum E { A }"), "no event creates the aggregate");
    assert_message(event("enum Straße { #[create] A }"), "can't contain `ß`");
    assert_message(aggregate("command = C", "union A { a: u8 }"), "can only be applied to a struct");
    assert_message(aggregate("command = C", "struct A<'a>(&'a str);"), "can't have generics");
    assert_message(aggregate("", "struct A;"), "needs `command`");
    assert_message(key("struct K(u8, u8);"), "a struct with one field");
    assert_message(key("enum K { A }"), "a struct with one field");
    assert_message(key("#[key] struct K(u8);"), "needs an option");
}

#[test]
fn every_wrong_variant_has_a_message() {
    assert_message(an_event("#[create] #[delete] A"), "can't be both");
    assert_message(an_event("#[delete] #[delete] A"), "duplicate `#[delete]`");
    assert_message(an_event("#[delete(now)] A"), "takes no arguments");
    assert_message(an_event("#[deleted] A"), "did you mean `#[delete]`?");
    assert_message(an_event("#[context] A"), "always get the metadata");
    assert_message(an_event("A { #[create] b: u8 }"), "belongs on a variant");
    assert_message(an_event("#[cfg_attr(x, delete)] A"), "can't be conditional");
    assert_message(an_event(r#"#[cfg_attr(x, serde(rename = "B"))] A"#), "can't be conditional");
    assert_message(an_event("A( #[cfg(x)] u8 )"), "can't be conditional");
    assert_message(an_event("Super"), "can't be a method name");
    assert_message(an_event("A(&'static str)"), "write `String`");
    assert_message(an_event("A(Option<(u8, &'static [u8])>)"), "write `Vec<u8>`");
    assert_message(a_command("A { b: Vec<&'static Key> }"), "write `Key`");
    assert_message(an_event(r#"#[serde(rename = "Opened")] A"#), "share a wire name");
    assert_message(an_event(r#"#[serde(alias = "Opened")] A"#), "share a wire name");
    assert_message(a_command("#[create] #[upsert] A"), "can't be both");
    assert_message(a_command("#[delete] A"), "marks the event");
    assert_message(command("", "enum C { #[create] A }"), "needs `event` and `error`");
    assert_message(command("event = E, error = F", "enum C { A }"), "every command expects an existing aggregate");
}

#[test]
fn variants_that_never_meet_may_share_a_name() {
    assert_eq!(messages(an_event("#[cfg(a)] AB, #[cfg(not(a))] Ab")), [""; 0]);
}

#[test]
fn after_a_mistake_the_rest_is_still_written() {
    let code = event("", "pub enum AccountEvent { Opened, AB, Ab }");
    assert_contains(&code, "pub enum AccountEvent { Opened, AB, Ab }");
    assert_contains(&code, "fn opened() -> Self;");
    assert_contains(&code, "impl ::simple_sourcing::__private::Event for AccountEvent");
    assert_eq!(
        code.to_string().matches("fn ab").count(),
        3,
        "one each in the applier, the projector and the projection"
    );

    let code = command("", "enum AccountCommand { #[create] Open }");
    assert_contains(&code, "type Event = AccountEvent;");
    assert_contains(&code, "struct AccountClient");
    assert_eq!(event("", "fn f() {}").to_string().matches("fn f ()").count(), 1);
}

#[test]
fn the_same_input_gives_the_same_code() {
    let code = || an_event(r#"A, B(u8), #[serde(rename = "A")] C, #[delete] D { x: u8 }"#).to_string();
    assert_eq!(code(), code());
}
