//! Where an enum may be, and who may see it.

use simple_sourcing::prelude::*;

/// Two aggregates in one module.
mod two {
    use super::*;

    #[event(key = u8)]
    pub enum CatEvent {
        #[create]
        Born,
        #[delete]
        Died,
    }

    #[event(key = String)]
    pub enum DogEvent {
        #[create]
        Born,
        Barked,
    }

    #[command(event = CatEvent, error = crate::Never)]
    pub enum CatCommand {
        #[create]
        Bear,
        Die,
    }

    #[command(event = DogEvent, error = crate::Never)]
    pub enum DogCommand {
        #[create]
        Bear,
        Bark,
    }

    #[aggregate(command = CatCommand)]
    pub struct Cat;

    #[aggregate(command = DogCommand)]
    pub struct Dog(pub u8);

    impl CatHandler for Cat {
        fn bear() -> Decision<Self> {
            emit(CatEvent::Born)
        }

        fn die(&self) -> Decision<Self> {
            emit(CatEvent::Died)
        }
    }

    impl DogHandler for Dog {
        fn bear() -> Decision<Self> {
            emit(DogEvent::Born)
        }

        fn bark(&self) -> Decision<Self> {
            emit(DogEvent::Barked)
        }
    }

    impl CatApplier for Cat {
        fn born() -> Self {
            Cat
        }
    }

    impl DogApplier for Dog {
        fn born() -> Self {
            Dog(0)
        }

        fn barked(&mut self) {
            self.0 += 1;
        }
    }

    /// One type may project the events of both.
    #[derive(Default)]
    pub struct Births(pub u8);

    impl CatProjector for Births {
        fn born(&mut self, _: &EventMeta<u8>) {
            self.0 += 1;
        }
    }

    impl DogProjector for Births {
        fn born(&mut self, _: &EventMeta<String>) {
            self.0 += 1;
        }
    }
}

#[tokio::test]
async fn two_aggregates_in_one_module_and_one_app() {
    let app = App::new("pets").aggregate::<two::Cat>().aggregate::<two::Dog>().start(Memory::new()).await.unwrap();
    let (cats, dogs): (two::CatClient, two::DogClient) = (app.client(), app.client());
    cats.bear(1).await.unwrap();
    cats.die(1).await.unwrap();
    dogs.bear("Rex").await.unwrap();
    let receipt = dogs.bark("Rex").await.unwrap();
    assert_eq!(app.state::<two::Dog>("Rex").await.unwrap().unwrap().0, 1);
    let births = app.view::<two::DogEvent, _>(two::Births::default());
    births.wait_for(&receipt).await.unwrap();
    assert_eq!(births.read(|births| births.0), 1);
}

/// Private enums, and their generated items with them.
mod private {
    #![deny(private_interfaces, private_bounds, dead_code)]

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
    struct Number(u8);

    #[event(key = Number)]
    enum BoxEvent {
        #[create]
        Made,
    }

    #[command(event = BoxEvent, error = crate::Never)]
    enum BoxCommand {
        #[create]
        Make,
    }

    #[aggregate(command = BoxCommand)]
    struct Box;

    impl BoxHandler for Box {
        fn make() -> Decision<Self> {
            emit(BoxEvent::Made)
        }
    }

    impl BoxApplier for Box {
        fn made() -> Self {
            Box
        }
    }

    #[tokio::test]
    async fn enums_may_be_private() {
        let app = crate::serve::<Box>().await;
        let boxes: BoxClient = app.client();
        boxes.make(Number(1)).await.unwrap();
        assert!(app.state::<Box>(Number(1)).await.unwrap().is_some());
    }
}

/// Visible in the crate, or in a part of it.
mod restricted {
    use super::*;

    #[event(key = u8)]
    pub(crate) enum JarEvent {
        #[create]
        Made,
    }

    #[command(event = JarEvent, error = crate::Never)]
    pub(in crate::scopes) enum JarCommand {
        #[create]
        Make,
    }

    #[aggregate(command = JarCommand)]
    pub(super) struct Jar;

    impl JarHandler for Jar {
        fn make() -> Decision<Self> {
            emit(JarEvent::Made)
        }
    }

    impl JarApplier for Jar {
        fn made() -> Self {
            Jar
        }
    }
}

#[tokio::test]
async fn enums_may_be_visible_in_a_part_of_the_crate() {
    let app = crate::serve::<restricted::Jar>().await;
    let jars: restricted::JarClient = app.client();
    jars.make(1).await.unwrap();
}

#[tokio::test]
async fn enums_may_stand_in_functions() {
    #[event(key = u8)]
    enum CupEvent {
        #[create]
        Made(u8),
    }

    #[command(event = CupEvent, error = crate::Never)]
    enum CupCommand {
        #[create]
        Make(u8),
    }

    #[aggregate(command = CupCommand)]
    struct Cup(u8);

    impl CupHandler for Cup {
        fn make(of: u8) -> Decision<Self> {
            emit(CupEvent::Made(of))
        }
    }

    impl CupApplier for Cup {
        fn made(of: u8) -> Self {
            Cup(of)
        }
    }

    let app = crate::serve::<Cup>().await;
    let cups: CupClient = app.client();
    cups.make(1, 7).await.unwrap();
    assert_eq!(app.state::<Cup>(1).await.unwrap().unwrap().0, 7);
}

/// Enums that another macro generates, with names and types from its arguments.
mod generated {
    use super::*;

    macro_rules! counter {
        ($event:ident, $command:ident, $state:ident, $key:ty, $applier:ident, $handler:ident) => {
            #[event(key = $key, name = "counter")]
            pub enum $event {
                #[create]
                Started {
                    at: $key,
                },
                Counted(Vec<$crate::scopes::generated::Amount>),
            }

            #[command(event = $event, error = $crate::Never)]
            pub enum $command {
                #[create]
                Start { at: $key },
            }

            #[aggregate(command = $command)]
            pub struct $state($key);

            impl $handler for $state {
                fn start(at: $key) -> Decision<Self> {
                    emit($event::Started { at })
                }
            }

            impl $applier for $state {
                fn started(at: $key) -> Self {
                    $state(at)
                }

                fn counted(&mut self, _: Vec<$crate::scopes::generated::Amount>) {}
            }
        };
    }

    pub type Amount = u8;

    counter!(CountEvent, CountCommand, Count, u32, CountApplier, CountHandler);

    #[tokio::test]
    async fn enums_may_come_from_macros() {
        let app = crate::serve::<Count>().await;
        let counts: CountClient = app.client();
        counts.start(1u32, 5).await.unwrap();
        assert_eq!(app.state::<Count>(1u32).await.unwrap().unwrap().0, 5);
    }
}
