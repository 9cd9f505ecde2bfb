//! How a user keeps the code that the macros generate as snapshots.

use simple_sourcing_derive::expansion;

/// The enum is in a file of the crate, and the test names both.
#[test]
fn of_an_item_in_a_file() {
    insta::assert_snapshot!("parcel_event", expansion!("../tests/hygiene/contract/src/lib.rs", ParcelEvent));
    insta::assert_snapshot!("parcel_command", expansion!("../tests/hygiene/contract/src/lib.rs", ParcelCommand));
    insta::assert_snapshot!("parcel_key", expansion!("../tests/hygiene/contract/src/lib.rs", Number));
    insta::assert_snapshot!("parcel", expansion!("../tests/hygiene/service/src/lib.rs", Parcel));
}

/// An item in a module, below other attributes, after items with similar names.
#[test]
fn of_an_item_in_a_module() {
    let text = expansion!("../tests/hygiene/attributes.rs", DoorEvent);
    assert!(text.contains("trait DoorApplier"), "{text}");
    assert!(text.contains("/// Nobody does that any more.\n    #[deprecated = \"doors have no bells\"]"), "{text}");
}

/// The enum stands in the test: to try out how something is written.
#[test]
fn of_an_item_that_is_given() {
    const TEXT: &str = expansion! {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, simple_sourcing::Key)]
        pub struct Number(u64);
    };
    insta::assert_snapshot!(TEXT, @r#"
    #[automatically_derived]
    impl ::simple_sourcing::__private::Key for Number {
        fn to_text(&self) -> ::simple_sourcing::__private::String {
            <u64 as ::simple_sourcing::__private::Key>::to_text(&self.0)
        }
        fn from_text(text: &str) -> ::core::result::Result<Self, ::simple_sourcing::__private::KeyError> {
            ::core::result::Result::Ok(Self { 0: <u64 as ::simple_sourcing::__private::Key>::from_text(text)? })
        }
    }
    "#);
    let aggregate = expansion! {
        #[simple_sourcing::aggregate(command = NoteCommand, manual(Debug))]
        enum Note { Draft, Sent { at: u64 } }
    };
    insta::assert_snapshot!(aggregate, @r#"
    #[derive(
        ::core::clone::Clone,
        ::core::cmp::PartialEq,
        ::simple_sourcing::__private::serde::Serialize,
        ::simple_sourcing::__private::serde::Deserialize
    )]
    #[serde(crate = "::simple_sourcing::__private::serde")]
    enum Note {
        Draft,
        Sent { at: u64 }
    }

    #[automatically_derived]
    #[allow(deprecated, unused_imports)]
    impl ::simple_sourcing::__private::Described for Note {
        fn describe(__registry: &mut ::simple_sourcing::__private::Registry) -> ::simple_sourcing::__private::TypeRef {
            use ::simple_sourcing::__private::declared::{ self as __schema, Undescribed as _ };
            __schema::describe::<Self>(
                __registry,
                const {
                    &__schema::Type {
                        name: "Note",
                        role: __schema::Role::OfState,
                        shape: __schema::Shape::Enum {
                            tagging: __schema::Tagging::External,
                            variants: &[
                                __schema::variant("Draft", __schema::Style::Unit),
                                __schema::Variant {
                                    fields: &[__schema::field("at", "u64", __schema::Probe::<u64>::OF)],
                                    ..__schema::variant("Sent", __schema::Style::Named)
                                }
                            ]
                        },
                        ..__schema::TYPE
                    }
                }
            )
        }
    }

    #[automatically_derived]
    impl ::simple_sourcing::__private::Aggregate for Note {
        type Command = NoteCommand;
        const EXACT: bool = {
            #[allow(unused_imports)]
            use ::simple_sourcing::__private::Unknown as _;
            true &&::simple_sourcing::__private::IsExact::<u64>::__SIMPLE_SOURCING_EXACT
        };
    }
    "#);
}

/// It is a constant, with the text of the code for the enum.
#[test]
fn it_is_always_the_same() {
    let inline = expansion! {
        /// The state of a parcel.
        #[aggregate(command = ParcelCommand, crate = "hygiene_facade::events")]
        pub struct Parcel {
            /// Where it is.
            pub place: String,
        }
    };
    assert_eq!(inline, expansion!("../tests/hygiene/service/src/lib.rs", Parcel));
}
