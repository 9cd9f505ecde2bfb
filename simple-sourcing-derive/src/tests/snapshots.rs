//! The whole generated code for some inputs, formatted, so that a change shows up in review.
//!
//! After a change, `INSTA_UPDATE=always cargo test -p simple-sourcing-derive --lib`, and read the differences.

use proc_macro2::TokenStream;

use super::{aggregate, command, event, key};

/// The code as rustfmt would format it.
fn formatted(code: TokenStream) -> String {
    prettyplease::unparse(&syn::parse2(code).unwrap())
}

macro_rules! snapshots {
    ($($name:ident: $code:expr;)*) => {
        $(
            #[test]
            fn $name() {
                insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
                    insta::assert_snapshot!(stringify!($name), formatted($code));
                });
            }
        )*

        /// The generated code for each input, for tests of what holds for all of them.
        pub(crate) fn all() -> Vec<(&'static str, TokenStream)> {
            vec![$((stringify!($name), $code)),*]
        }
    };
}

snapshots! {
    event_account: event("key = String", "
        /// What has happened to an account.
        pub enum AccountEvent {
            /// It was opened.
            #[create] Opened { owner: String },
            Deposited { amount: u64 },
            Withdrawn { amount: u64 },
            #[delete] Closed,
        }
    ");
    event_with_all_options: event(
        r#"key = ids::Number, name = "orders.v1", applier = Apply, projector = Project, manual(Debug, PartialEq),
            crate = "framework::events""#,
        "pub(crate) enum OrderEvent { #[create] Placed }",
    );
    event_without_prelude: event("key = u8, no_implicit_prelude", "enum LampEvent { #[create] Hung }");
    event_fields_of_all_shapes: event("key = u8", "
        pub enum ShapeEvent {
            #[create] Unit,
            #[create] One(u8),
            Several(u8, Vec<Option<(u8, [u8; 4])>>),
            Named { r#type: u8, meta: u8, what: Box<Self> },
            EmptyTuple(),
            EmptyNamed {},
            Move,
            HTTPFailed,
        }
    ");
    event_names_of_serde: event("key = u8", r#"
        #[derive(Eq, Serialize, serde::Deserialize)]
        #[serde(tag = "type", rename_all = "kebab-case")]
        pub enum FileEvent {
            #[create] FirstOpened,
            #[serde(rename = "PUT", alias = "written")] Written { #[serde(default)] bytes: u32 },
        }
    "#);
    event_carried_attributes: event("key = u8", r#"
        #[allow(missing_docs)]
        pub enum DoorEvent {
            #[create] Made,
            /// Got a color.
            ///
            /// Any.
            #[cfg(feature = "colors")]
            Painted { #[cfg(feature = "names")] name: String, rgb: u32 },
            #[deprecated = "doors have no bells"]
            Rung,
        }
    "#);
    event_with_mistakes: event(r#"ky = String, nme = "x""#, "
        pub enum AccountEvent { #[creat] Opened { owner: &'static str }, #[delete] AB, Ab(u8), #[upsert] C }
    ");
    command_account: command("event = AccountEvent, error = AccountError", "
        /// What a client may ask of an account.
        pub enum AccountCommand {
            #[create] Open { owner: String },
            /// Pays in.
            Deposit { amount: u64 },
            Close,
        }
    ");
    command_with_all_options: command(
        r#"event = contract::OrderEvent, error = contract::Never, context, handler = Handle, client = Orders,
            manual(Clone), crate = "framework::events""#,
        "pub(crate) enum OrderCommand { #[create] Place(u8), Cancel }",
    );
    command_roles: command("event = NoteEvent, error = NoteError, no_implicit_prelude", "
        enum NoteCommand {
            #[create] Make,
            #[create] #[context] MakeNow { context: u8 },
            #[upsert] Write(String),
            #[upsert] #[context] WriteNow { this: u8, key: u8 },
            #[context] Remove,
        }
    ");
    command_many_and_deprecated: command("event = E, error = F", "
        pub enum WideCommand {
            #[create] #[deprecated] Wide { a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8 },
            #[cfg(any())] Never(Missing),
        }
    ");
    command_with_mistakes: command("event = AccountEvent", "
        pub enum AccountCommand { #[create] #[upsert] Open, #[delete] Close }
    ");
    aggregate_struct: aggregate("command = AccountCommand", "
        /// The state.
        pub struct Account { pub owner: String, balance: u64 }
    ");
    aggregate_life_cycle: aggregate(r#"command = orders::OrderCommand, crate = "framework""#, r#"
        #[derive(Default, Clone)]
        #[serde(tag = "state")]
        enum Order { #[default] Draft, Placed { at: u64 } }
    "#);
    aggregate_with_mistakes: aggregate("comand = AccountCommand", "struct Account { owner: Option<&'static str> }");
    key_tuple: key("pub struct Number(u64);");
    key_named: key(r#"#[key(crate = "framework::events")] struct Name { text: String }"#);
    key_with_mistakes: key("struct Pair(u8, u8);");
}
