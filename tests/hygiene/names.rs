//! Names that are keywords, or that the macros use themselves.

use simple_sourcing::{EventMeta, prelude::*};

/// Fields and variants named like parameters, locals and types of the generated code.
#[event(key = u8)]
pub enum OddEvent {
    #[create]
    Event {
        meta: u8,
        meta_: u8,
        key: u8,
        state: u8,
        projector: u8,
        name: u8,
        context: u8,
        this: u8,
        value: u8,
    },
    Command {
        __meta: u8,
        __state: u8,
    },
    Aggregate(u8, u8),
    Match {
        r#type: u8,
        r#fn: u8,
        r#match: u8,
    },
    #[allow(non_camel_case_types)]
    r#yield(u8),
    Async,
    Self_,
    #[serde(rename = "Super")]
    Superior,
    ApplyTo,
}

#[command(event = OddEvent, error = crate::Never)]
pub enum OddCommand {
    #[create]
    #[context]
    Make {
        context: u8,
        context_: u8,
        key: u8,
        state: u8,
        this: u8,
        client: u8,
    },
    #[upsert]
    #[context]
    Upsert {
        this: u8,
        context: u8,
    },
    Send {
        key: u8,
        key_: u8,
    },
    Handle {
        command: u8,
    },
    Await {
        r#move: u8,
    },
    Outcome,
}

#[aggregate(command = OddCommand)]
pub struct Odd {
    pub sum: u8,
}

impl OddHandler for Odd {
    fn make(_: &Context<u8>, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) -> Decision<Self> {
        emit(OddEvent::Event {
            meta: a,
            meta_: b,
            key: c,
            state: d,
            projector: e,
            name: f,
            context: 0,
            this: 0,
            value: 0,
        })
    }

    fn upsert(odd: Option<&Self>, _: &Context<u8>, this: u8, context: u8) -> Decision<Self> {
        ensure!(odd.is_some(), crate::Never);
        emit(OddEvent::Command { __meta: this, __state: context })
    }

    fn send(&self, key: u8, key_: u8) -> Decision<Self> {
        emit(OddEvent::Aggregate(key, key_))
    }

    fn handle(&self, command: u8) -> Decision<Self> {
        emit(OddEvent::Match { r#type: command, r#fn: 1, r#match: 1 })
    }

    fn r#await(&self, r#move: u8) -> Decision<Self> {
        emit(OddEvent::r#yield(r#move))
    }

    fn outcome(&self) -> Decision<Self> {
        emit([OddEvent::Async, OddEvent::Self_, OddEvent::Superior, OddEvent::ApplyTo])
    }
}

impl OddApplier for Odd {
    fn event(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8) -> Self {
        Odd { sum: [a, b, c, d, e, f, g, h, i].iter().sum() }
    }

    fn command(&mut self, a: u8, b: u8) {
        self.sum += a + b;
    }

    fn aggregate(&mut self, a: u8, b: u8) {
        self.sum += a + b;
    }

    fn r#match(&mut self, a: u8, b: u8, c: u8) {
        self.sum += a + b + c;
    }

    fn r#yield(&mut self, a: u8) {
        self.sum += a;
    }

    fn r#async(&mut self) {}
    fn self_(&mut self) {}
    fn superior(&mut self) {}
    fn apply_to(&mut self) {
        self.sum += 1;
    }
}

#[derive(Default)]
struct Last(&'static str);

impl OddProjector for Last {
    #[allow(clippy::too_many_arguments)]
    fn event(&mut self, m: &EventMeta<u8>, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8) {
        assert_eq!(m.key, 9);
        self.0 = "event";
    }

    fn superior(&mut self, _: &EventMeta<u8>) {
        self.0 = "superior";
    }
}

#[tokio::test]
async fn every_name_may_be_that_of_something_of_the_macros() {
    let app = crate::serve::<Odd>().await;
    let odds: OddClient = app.client();
    odds.make(9, 1, 2, 3, 4, 5, 6).await.unwrap();
    odds.upsert(9, 1, 1).await.unwrap();
    odds.send(9, 1, 1).await.unwrap();
    odds.handle(9, 1).await.unwrap();
    odds.r#await(9, 1).await.unwrap();
    let receipt = odds.outcome(9).await.unwrap();
    assert_eq!(app.state::<Odd>(9).await.unwrap().unwrap().sum, 21 + 2 + 2 + 3 + 1 + 1);
    let last = app.view::<OddEvent, _>(Last::default());
    last.wait_for(&receipt).await.unwrap();
    assert_eq!(last.read(|last| last.0), "superior");
}

/// A raw identifier is the name without the `r#`.
#[test]
fn raw_identifiers_are_names() {
    use simple_sourcing::Event;
    let names: Vec<&str> = OddEvent::VARIANTS.iter().map(|variant| variant.name).collect();
    assert_eq!(names, ["Event", "Command", "Aggregate", "Match", "yield", "Async", "Self_", "Super", "ApplyTo"]);
}
