//! What `describe` prints for the data.

use std::collections::HashMap;

use simple_sourcing::{describe, describe_contract, prelude::*};

mod ids {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
    pub struct Number(pub u8);
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub struct Never;

/// Written and read by functions of one's own.
mod own {
    pub fn serialize<S: serde::Serializer>(value: &u8, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*value)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
        <u8 as serde::Deserialize>::deserialize(from)
    }
}

#[event(key = ids::Number, name = "files.v1", manual(Debug, PartialEq))]
#[derive(Debug, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FileEvent {
    /// Documentation does not matter.
    #[create]
    FirstOpened {
        #[cfg_attr(any(), allow(unused))]
        file_name: String,
        #[serde(rename = "BY")]
        #[cfg_attr(any(), serde(default), allow(unused))]
        opened_by: Option<String>,
    },
    #[serde(rename(serialize = "PUT", deserialize = "PUT"), alias = "written", rename_all = "UPPERCASE")]
    Written {
        bytes_written: u32,
        #[serde(default, rename = "at", with = "own")]
        r#as: u8,
    },
    Cached {
        #[serde(skip)]
        line: (),
        #[serde(skip_serializing_if = "Option::is_none")]
        page: Option<u8>,
    },
    #[cfg(any())]
    Split(#[serde(with = "own")] u8, u8),
    #[delete]
    r#Gone,
}

#[command(event = FileEvent, error = Never)]
pub enum FileCommand {
    #[create]
    Open,
}

#[test]
fn names_are_those_of_serde_and_its_other_words_are_shown() {
    insta::assert_snapshot!(describe_contract::<FileCommand>(), @r##"
    aggregate: files.v1
    key: ids::Number
    event: #[serde(tag = "type")] FileEvent
        create  first-opened {
            fileName: String,
            #[cfg_attr(any(), serde(default), allow(unused))] BY: Option<String>,
        }
        change  #[serde(rename(serialize = "PUT", deserialize = "PUT"), alias = "written")] PUT {
            BYTES_WRITTEN: u32,
            #[serde(default, with = "own")] at: u8,
        }
        change  cached { #[serde(skip_serializing_if = "Option::is_none")] page: Option<u8> }
        change  #[cfg(any())] split(#[serde(with = "own")] u8, u8)
        delete  gone

    command: FileCommand
    error: Never
    client: FileClient
        create  open: Open
    "##);
}

type CornersOfTheShape = u64;
type ColorsOfTheShape = String;

#[event(key = u8, manual(Deserialize))]
pub enum ShapeEvent {
    #[create]
    Drawn {
        corners_of_the_shape: Vec<(f64, f64)>,
        color_of_the_shape: Option<String>,
        of: HashMap<u8, u8>,
    },
    Moved(HashMap<CornersOfTheShape, Vec<(f64, f64)>>, HashMap<ColorsOfTheShape, Vec<(f64, f64)>>),
}

impl<'de> Deserialize<'de> for ShapeEvent {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it is only described"))
    }
}

#[command(event = ShapeEvent, error = Never)]
pub enum ShapeCommand {
    #[create]
    Draw,
    #[upsert]
    Move,
}

/// The state of a shape.
#[aggregate(command = ShapeCommand)]
#[serde(rename_all = "lowercase", rename_all_fields = "PascalCase")]
pub enum Shape {
    Draft,
    #[serde(rename = "DRAWN")]
    Drawn {
        at_time: u64,
    },
}

impl ShapeHandler for Shape {
    fn draw() -> Decision<Self> {
        reject(Never)
    }

    fn r#move(_: Option<&Self>) -> Decision<Self> {
        reject(Never)
    }
}

impl ShapeApplier for Shape {
    fn drawn(_: Vec<(f64, f64)>, _: Option<String>, _: HashMap<u8, u8>) -> Self {
        Shape::Draft
    }

    fn moved(&mut self, _: HashMap<CornersOfTheShape, Vec<(f64, f64)>>, _: HashMap<ColorsOfTheShape, Vec<(f64, f64)>>) {
    }
}

#[test]
fn a_long_line_is_broken_and_a_state_may_be_an_enum() {
    insta::assert_snapshot!(describe::<Shape>(), @"
    aggregate: shape
    key: u8
    event: #[event(manual(Deserialize))] ShapeEvent
        create  Drawn {
            corners_of_the_shape: Vec<(f64, f64)>,
            color_of_the_shape: Option<String>,
            of: HashMap<u8, u8>,
        }
        change  Moved(
            HashMap<CornersOfTheShape, Vec<(f64, f64)>>,
            HashMap<ColorsOfTheShape, Vec<(f64, f64)>>,
        )

    command: ShapeCommand
    error: Never
    client: ShapeClient
        create  draw: Draw
        upsert  move: Move

    state: Shape
        draft
        DRAWN { AtTime: u64 }
    ");
}

/// A state of a shape of its own.
macro_rules! state {
    ($name:ident, $item:item) => {
        mod $name {
            use super::*;

            $item

            impl ShapeHandler for A {
                fn draw() -> Decision<Self> {
                    reject(Never)
                }

                fn r#move(_: Option<&Self>) -> Decision<Self> {
                    reject(Never)
                }
            }

            impl ShapeApplier for A {
                fn drawn(_: Vec<(f64, f64)>, _: Option<String>, _: HashMap<u8, u8>) -> Self {
                    unreachable!("it is only described")
                }

                fn moved(
                    &mut self,
                    _: HashMap<CornersOfTheShape, Vec<(f64, f64)>>,
                    _: HashMap<ColorsOfTheShape, Vec<(f64, f64)>>,
                ) {
                }
            }
        }
    };
}

state!(
    unit,
    #[aggregate(command = ShapeCommand)]
    pub struct A;
);
state!(
    tuple,
    #[aggregate(command = ShapeCommand)]
    pub struct A(u8, Vec<Self>);
);
state!(
    transparent,
    #[aggregate(command = ShapeCommand)]
    #[serde(transparent)]
    pub struct A {
        a: u8,
    }
);
state!(
    renamed,
    #[aggregate(command = ShapeCommand)]
    #[serde(rename_all = "UPPERCASE")]
    pub struct A {
        a_b: u8,
    }
);

#[test]
fn a_state_may_be_a_struct_of_any_shape() {
    let state = |text: String| text.split_once("state: ").unwrap().1.trim_end().to_owned();
    assert_eq!(state(describe::<unit::A>()), "A");
    assert_eq!(state(describe::<tuple::A>()), "A(u8, Vec<Self>)");
    assert_eq!(state(describe::<transparent::A>()), "#[serde(transparent)] A { a: u8 }");
    assert_eq!(state(describe::<renamed::A>()), "A { A_B: u8 }");
}
