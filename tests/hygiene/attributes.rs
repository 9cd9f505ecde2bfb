//! The user's other attributes also apply to the generated code.

use simple_sourcing::{Command, Event, describe_contract, prelude::*};

/// serde's attributes, of the enum and of its variants and fields.
#[event(key = u8)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FileEvent {
    #[create]
    FirstOpened {
        file_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opened_by: Option<String>,
    },
    #[serde(rename = "PUT", alias = "written")]
    Written { bytes: u32 },
    #[serde(rename(serialize = "shut", deserialize = "shut"))]
    Closed,
}

#[command(event = FileEvent, error = crate::Never)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FileCommand {
    #[create]
    OpenFile,
    #[serde(rename = "put")]
    Write(u32),
}

#[aggregate(command = FileCommand)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[derive(Default, Eq)]
pub struct File {
    bytes_written: u32,
}

#[test]
fn names_are_those_that_serde_writes() {
    let events = [
        FileEvent::FirstOpened { file_name: "a".into(), opened_by: None },
        FileEvent::Written { bytes: 1 },
        FileEvent::Closed,
    ];
    let description = describe_contract::<FileCommand>();
    for (event, variant) in events.iter().zip(FileEvent::VARIANTS) {
        let json = serde_json::to_value(event).unwrap();
        assert_eq!(json["type"], event.name());
        assert_eq!(variant.name, event.name());
        let fields = json.as_object().unwrap().keys().filter(|name| *name != "type");
        for name in fields.map(|name| format!(" {name}: ")).chain([format!(" {}", event.name())]) {
            assert!(description.contains(&name), "no `{name}` in\n{description}");
        }
    }
    assert_eq!(serde_json::to_string(&events[0]).unwrap(), r#"{"type":"first-opened","fileName":"a"}"#);
    assert_eq!(serde_json::from_str::<FileEvent>(r#"{"type":"written","bytes":1}"#).unwrap(), events[1]);

    for (command, json) in [(FileCommand::OpenFile, r#""OPEN_FILE""#), (FileCommand::Write(1), r#"{"put":1}"#)] {
        assert_eq!(serde_json::to_string(&command).unwrap(), json);
        assert!(json.contains(&format!("\"{}\"", command.name())));
    }
    assert_eq!(serde_json::to_string(&File::default()).unwrap(), r#"{"bytesWritten":0}"#);
    assert!(serde_json::from_str::<File>(r#"{"bytesWritten":0,"more":1}"#).is_err());
}

impl FileHandler for File {
    fn open_file() -> Decision<Self> {
        emit(FileEvent::FirstOpened { file_name: String::new(), opened_by: None })
    }

    fn write(&self, bytes: u32) -> Decision<Self> {
        emit([FileEvent::Written { bytes }, FileEvent::Closed])
    }
}

impl FileApplier for File {
    fn first_opened(_: String, _: Option<String>) -> Self {
        File::default()
    }

    fn written(&mut self, bytes: u32) {
        self.bytes_written += bytes;
    }

    fn closed(&mut self) {}
}

#[tokio::test]
async fn renamed_events_and_commands_reach_their_methods() {
    let app = crate::serve::<File>().await;
    let files: FileClient = app.client();
    files.open_file(1).await.unwrap();
    files.write(1, 5).await.unwrap();
    assert_eq!(app.state::<File>(1).await.unwrap().unwrap().bytes_written, 5);
}

/// What is not compiled, or deprecated, or documented. With lints that would speak of code that ignores it.
pub mod carried {
    #![deny(missing_docs, deprecated, unused)]

    use simple_sourcing::prelude::*;

    /// What happened.
    #[event(key = u8)]
    pub enum DoorEvent {
        /// It is there.
        #[create]
        Made,
        /// Not of this build.
        #[cfg(any())]
        Never(NoSuchType),
        /// Of this build.
        #[cfg(test)]
        Painted {
            /// The color.
            #[cfg(test)]
            color: String,
            #[cfg(any())]
            never: NoSuchType,
        },
        /// Nobody does that any more.
        #[deprecated = "doors have no bells"]
        Rung,
    }

    /// What may be asked.
    #[command(event = DoorEvent, error = crate::Never)]
    pub enum DoorCommand {
        /// Makes it.
        #[create]
        Make,
        /// Not of this build.
        #[cfg(any())]
        Never(NoSuchType),
        /// Of this build.
        #[cfg(test)]
        Paint {
            /// The color.
            color: String,
            #[cfg(any())]
            never: NoSuchType,
        },
        /// Nobody does that any more.
        #[deprecated(since = "2.0.0", note = "doors have no bells")]
        Ring,
    }

    /// The state.
    #[aggregate(command = DoorCommand)]
    pub enum Door {
        /// As it was made.
        Plain,
        /// Of a color.
        Painted(String),
        /// Not of this build.
        #[cfg(any())]
        Never(NoSuchType),
    }

    impl DoorHandler for Door {
        fn make() -> Decision<Self> {
            emit(DoorEvent::Made)
        }

        fn paint(&self, color: String) -> Decision<Self> {
            emit(DoorEvent::Painted { color })
        }

        fn ring(&self) -> Decision<Self> {
            reject(crate::Never)
        }
    }

    impl DoorApplier for Door {
        fn made() -> Self {
            Door::Plain
        }

        fn painted(&mut self, color: String) {
            *self = Door::Painted(color);
        }

        fn rung(&mut self) {}
    }

    #[tokio::test]
    async fn conditions_hold_for_the_methods() {
        use simple_sourcing::{Command, Event};
        let names: Vec<&str> = DoorEvent::VARIANTS.iter().map(|variant| variant.name).collect();
        assert_eq!(names, ["Made", "Painted", "Rung"]);
        let names: Vec<&str> = DoorCommand::VARIANTS.iter().map(|variant| variant.name).collect();
        assert_eq!(names, ["Make", "Paint", "Ring"]);

        let app = crate::serve::<Door>().await;
        let doors: DoorClient = app.client();
        doors.make(1).await.unwrap();
        doors.paint(1, "red".to_owned()).await.unwrap();
        assert_eq!(app.state::<Door>(1).await.unwrap().unwrap().state, Door::Painted("red".to_owned()));
        #[expect(deprecated, reason = "which the method of the client is, as its command is")]
        let rung = doors.ring(1).await;
        assert!(rung.is_err());
    }
}

/// Levels of lints, which hold for what is generated, too.
pub mod lints {
    #![deny(warnings)]

    use simple_sourcing::prelude::*;

    #[event(key = u8)]
    #[expect(non_snake_case, reason = "as others write it")]
    pub enum NoteEvent {
        #[create]
        Made { userId: String },
    }

    #[command(event = NoteEvent, error = crate::Never)]
    pub enum NoteCommand {
        #[create]
        #[allow(non_snake_case)]
        Make { userId: String },
        #[cfg_attr(all(), cfg(any()))]
        #[cfg_attr(all(), allow(non_snake_case))]
        Never { userId: NoSuchType },
    }

    #[aggregate(command = NoteCommand)]
    #[forbid(deprecated)]
    pub struct Note(String);

    impl NoteHandler for Note {
        fn make(user_id: String) -> Decision<Self> {
            emit(NoteEvent::Made { userId: user_id })
        }
    }

    impl NoteApplier for Note {
        fn made(user_id: String) -> Self {
            Note(user_id)
        }
    }

    macro_rules! domain {
        ($variant:ident $method:ident) => {
            use simple_sourcing::prelude::*;

            #[event(key = u8)]
            enum LampEvent {
                #[create]
                Hung,
            }

            #[command(event = LampEvent, error = crate::Never)]
            enum LampCommand {
                #[create]
                $variant,
            }

            #[aggregate(command = LampCommand)]
            struct Lamp;

            impl LampHandler for Lamp {
                fn $method() -> Decision<Self> {
                    emit(LampEvent::Hung)
                }
            }

            impl LampApplier for Lamp {
                fn hung() -> Self {
                    Lamp
                }
            }

            pub(super) async fn serve() {
                crate::serve::<Lamp>().await;
            }
        };
    }

    /// Nobody calls a method of its client.
    mod generated {
        domain!(Hang hang);
    }

    #[tokio::test]
    async fn methods_that_nobody_calls_are_not_reported() {
        generated::serve().await;
        let notes: NoteClient = crate::serve::<Note>().await.client();
        notes.make(1, "a".to_owned()).await.unwrap();
    }
}
