//! Without a prelude, `Option`, `Clone` and `diagnostic` don't exist: hence the option.
#![no_implicit_prelude]

#[::simple_sourcing::event(key = u8, no_implicit_prelude)]
pub enum LampEvent {
    #[create]
    Hung {
        on: ::std::option::Option<bool>,
    },
    Switched {
        on: bool,
    },
    #[delete]
    Broken,
}

#[::simple_sourcing::command(event = LampEvent, error = crate::Never, no_implicit_prelude)]
pub enum LampCommand {
    #[create]
    Hang,
    #[upsert]
    Switch { on: bool },
    #[context]
    Break,
}

#[::simple_sourcing::aggregate(command = LampCommand)]
pub enum Lamp {
    Dark,
    Bright,
}

#[::core::prelude::v1::derive(::core::fmt::Debug, ::core::clone::Clone, ::core::cmp::PartialEq)]
#[::core::prelude::v1::derive(::core::cmp::Eq, ::core::hash::Hash, ::simple_sourcing::Key)]
#[::core::prelude::v1::derive(::simple_sourcing::Described)]
pub struct Number(u8);

impl LampHandler for Lamp {
    fn hang() -> ::simple_sourcing::Decision<Self> {
        ::simple_sourcing::emit(LampEvent::Hung { on: ::std::option::Option::None })
    }

    fn switch(this: ::std::option::Option<&Self>, on: bool) -> ::simple_sourcing::Decision<Self> {
        ::simple_sourcing::ensure!(this.is_some(), crate::Never);
        ::simple_sourcing::emit(LampEvent::Switched { on })
    }

    fn r#break(&self, _: &::simple_sourcing::Context<u8>) -> ::simple_sourcing::Decision<Self> {
        ::simple_sourcing::emit(LampEvent::Broken)
    }
}

impl LampApplier for Lamp {
    fn hung(_: ::std::option::Option<bool>) -> Self {
        Lamp::Dark
    }

    fn switched(&mut self, on: bool) {
        *self = if on { Lamp::Bright } else { Lamp::Dark };
    }
}

#[derive(::std::default::Default)]
struct Switches(u8);

impl LampProjector for Switches {
    fn switched(&mut self, _: &::simple_sourcing::EventMeta<u8>, _: bool) {
        self.0 += 1;
    }
}

pub(crate) async fn check() {
    let app = crate::serve::<Lamp>().await;
    let lamps: LampClient = app.client();
    lamps.hang(1).await.unwrap();
    let receipt = lamps.switch(1, true).await.unwrap();
    ::std::assert!(::std::matches!(**app.state::<Lamp>(1).await.unwrap().as_ref().unwrap(), Lamp::Bright));
    let switches = app.view::<LampEvent, _>(Switches(0));
    switches.wait_for(&receipt).await.unwrap();
    ::std::assert_eq!(switches.read(|switches| switches.0), 1);
    lamps.r#break(1).await.unwrap();
    ::std::assert_eq!(::simple_sourcing::Key::to_text(&Number(7)), "7");
}
