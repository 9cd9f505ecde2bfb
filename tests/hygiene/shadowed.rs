//! All names of the prelude, of the framework and of the macros mean something else here.
#![allow(dead_code, unused_macros, unused_imports, non_camel_case_types, non_upper_case_globals)]

mod shadow {
    pub struct Result;
    pub struct Option;
    pub struct Vec;
    pub struct String;
    pub struct Box;
    pub struct Ok;
    pub struct Err;
    pub struct Some;
    pub struct None;
    pub trait Into {}
    pub trait From {}
    pub trait Clone {}
    pub trait Copy {}
    pub trait Debug {}
    pub trait PartialEq {}
    pub trait Sized {}
    pub trait Send {}
    pub trait Sync {}
    pub trait Default {}
    pub trait Iterator {}
    pub trait Drop {}
    pub trait ToString {}
    pub trait Serialize {}
    pub trait Deserialize {}
    pub trait Event {}
    pub trait Command {}
    pub trait Aggregate {}
    pub trait Key {}
    pub trait Undescribed {}
    pub struct TypeRef;
    pub struct Registry;
    pub struct Probe;
    pub struct Accepted;
    pub struct Events;
    pub struct Context;
    pub struct EventMeta;
    pub struct Client;
    pub struct Call;
    pub mod std {}
    pub mod core {}
    pub mod alloc {}
    pub mod serde {}
    pub mod simple_sourcing {}
    pub struct __Aggregate;
    pub struct __Projector;
    pub struct Self_;
    // Named like locals of the macros: in a pattern these would be values.
    pub const state: u8 = 1;
    pub static context: u8 = 1;
    pub struct projector;
    pub const registry: u8 = 1;
    macro_rules! panic {
        () => {};
    }
    macro_rules! vec {
        () => {};
    }
    macro_rules! matches {
        () => {};
    }
    pub(super) use {matches, panic, vec};
}

mod events {
    use super::shadow::*;

    #[::simple_sourcing::event(key = ::std::string::String)]
    pub enum ThingEvent {
        #[create]
        Made {
            named: ::std::string::String,
            perhaps: ::std::option::Option<u8>,
        },
        Option(u8),
        Result {
            ok: u8,
        },
        Self_,
        #[delete]
        None,
    }

    #[::simple_sourcing::command(event = ThingEvent, error = crate::Never)]
    pub enum ThingCommand {
        #[create]
        #[context]
        Make {
            named: ::std::string::String,
        },
        Clone,
        #[upsert]
        Into {
            from: u8,
        },
        #[context]
        Default(u8),
        New,
    }

    #[::simple_sourcing::aggregate(command = ThingCommand)]
    pub struct Thing {
        pub named: ::std::string::String,
        pub count: u8,
    }

    #[::core::prelude::v1::derive(::core::fmt::Debug, ::core::clone::Clone, ::core::cmp::PartialEq)]
    #[::core::prelude::v1::derive(::core::cmp::Eq, ::core::hash::Hash, ::simple_sourcing::Key)]
    #[::core::prelude::v1::derive(::simple_sourcing::Described)]
    pub struct Number(u8);

    /// The type of a field, with fields that are named like what is shadowed.
    #[::core::prelude::v1::derive(::simple_sourcing::Described)]
    pub enum Described {
        None,
        Some { registry: ::std::option::Option<::std::boxed::Box<Described>>, state: ::std::vec::Vec<Number> },
    }
}

use self::events::{Number, Thing, ThingApplier, ThingClient, ThingCommand, ThingEvent, ThingHandler, ThingProjector};

mod implementation {
    use simple_sourcing::{Accepted, Context, Decision, Events, emit};

    use super::{Thing, ThingApplier, ThingEvent, ThingHandler};

    impl ThingHandler for Thing {
        fn make(context: &Context<String>, named: String) -> Decision<Self> {
            assert_eq!(context.key(), "a");
            emit(ThingEvent::Made { named, perhaps: None })
        }

        fn clone(&self) -> Decision<Self> {
            emit([ThingEvent::Option(1), ThingEvent::Self_])
        }

        fn into(this: Option<&Self>, from: u8) -> Decision<Self> {
            assert!(this.is_some());
            emit(ThingEvent::Result { ok: from })
        }

        fn default(&self, context: &Context<String>, value: u8) -> Decision<Self> {
            assert_eq!((context.sequence().get(), value), (4, 5));
            emit(ThingEvent::None)
        }

        fn new(&self) -> Decision<Self> {
            Ok(Accepted::Events(Events::new(ThingEvent::Self_)))
        }
    }

    impl ThingApplier for Thing {
        fn made(named: String, _: Option<u8>) -> Self {
            Thing { named, count: 0 }
        }

        fn option(&mut self, value: u8) {
            self.count += value;
        }

        fn result(&mut self, ok: u8) {
            self.count += ok;
        }

        fn self_(&mut self) {}
    }
}

#[tokio::test]
async fn names_of_the_prelude_mean_something_else() {
    let app = crate::serve::<Thing>().await;
    let things: ThingClient = app.client();
    things.make("a", "it".to_owned()).await.unwrap();
    things.clone("a").await.unwrap();
    ThingClient::into(&things, "a", 4).await.unwrap();
    let thing = app.state::<Thing>("a").await.unwrap().unwrap();
    assert_eq!((thing.named.as_str(), thing.count), ("it", 5));
    things.default("a", 5).await.unwrap();
    assert!(app.state::<Thing>("a").await.unwrap().is_none());
    assert_eq!(simple_sourcing::Key::to_text(&<Number as simple_sourcing::Key>::from_text("7").unwrap()), "7");
}
