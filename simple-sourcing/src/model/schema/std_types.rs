//! The types of the standard library, as serde writes them.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque},
    marker::PhantomData,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    num::{
        NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8, NonZeroU16, NonZeroU32,
        NonZeroU64, NonZeroU128, NonZeroUsize, Wrapping,
    },
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, Mutex, RwLock},
    time::{Duration, SystemTime},
};

use super::{
    data::{EnumSchema, Field, Shape, StructSchema, Style, Tagging, TextFormat, TypeRef, TypeSchema, Variant},
    registry::{Described, Registry, short_name},
};

/// Types that are values: `described! { bool => TypeRef::Bool; }`.
macro_rules! described {
    ($($($ty:ty),+ => $what:expr;)*) => {$($(
        impl Described for $ty {
            fn describe(_: &mut Registry) -> TypeRef {
                $what
            }
        }
    )+)*};
}
pub(super) use described;

/// Types that are written as another one: `written_as! { Sequence => u64; }`.
macro_rules! written_as {
    ($($ty:ty => $other:ty;)*) => {$(
        impl Described for $ty {
            fn describe(registry: &mut Registry) -> TypeRef {
                <$other>::describe(registry)
            }
        }
    )*};
}
pub(super) use written_as;

const fn unsigned(bits: u8) -> TypeRef {
    TypeRef::Integer { bits, is_signed: false }
}

const fn signed(bits: u8) -> TypeRef {
    TypeRef::Integer { bits, is_signed: true }
}

described! {
    () => TypeRef::Unit;
    bool => TypeRef::Bool;
    char => TypeRef::Char;
    u8, NonZeroU8 => unsigned(8);
    u16, NonZeroU16 => unsigned(16);
    u32, NonZeroU32 => unsigned(32);
    u64, usize, NonZeroU64, NonZeroUsize => unsigned(64);
    u128, NonZeroU128 => unsigned(128);
    i8, NonZeroI8 => signed(8);
    i16, NonZeroI16 => signed(16);
    i32, NonZeroI32 => signed(32);
    i64, isize, NonZeroI64, NonZeroIsize => signed(64);
    i128, NonZeroI128 => signed(128);
    f32 => TypeRef::Float { bits: 32 };
    f64 => TypeRef::Float { bits: 64 };
    str, String => TypeRef::Text(TextFormat::Any);
    Path, PathBuf => TypeRef::Text(TextFormat::FilePath);
    Ipv4Addr => TypeRef::Text(TextFormat::Ipv4);
    Ipv6Addr => TypeRef::Text(TextFormat::Ipv6);
    IpAddr => TypeRef::Text(TextFormat::Ip);
    SocketAddr, SocketAddrV4, SocketAddrV6 => TypeRef::Text(TextFormat::SocketAddress);
}

impl<T: ?Sized + 'static> Described for PhantomData<T> {
    fn describe(_: &mut Registry) -> TypeRef {
        TypeRef::Unit
    }
}

/// Types that are written as what is in them.
macro_rules! transparent {
    ($($ty:ty),+) => {$(
        impl<T: Described + ?Sized> Described for $ty {
            fn describe(registry: &mut Registry) -> TypeRef {
                T::describe(registry)
            }
        }
    )+};
}
transparent!(&'static T, Box<T>, Rc<T>, Arc<T>, Cell<T>, RefCell<T>, Mutex<T>, RwLock<T>);

impl<T: Described> Described for Wrapping<T> {
    fn describe(registry: &mut Registry) -> TypeRef {
        T::describe(registry)
    }
}

impl<T: Described + ToOwned + ?Sized> Described for Cow<'static, T> {
    fn describe(registry: &mut Registry) -> TypeRef {
        T::describe(registry)
    }
}

impl<T: Described> Described for Option<T> {
    fn describe(registry: &mut Registry) -> TypeRef {
        TypeRef::Optional(Box::new(T::describe(registry)))
    }
}

/// Types that are written as a list.
macro_rules! list {
    ($($ty:ty),+ => $what:path) => {$(
        impl<T: Described> Described for $ty {
            fn describe(registry: &mut Registry) -> TypeRef {
                $what(Box::new(T::describe(registry)))
            }
        }
    )+};
}
list!([T], Vec<T>, VecDeque<T>, LinkedList<T>, BinaryHeap<T> => TypeRef::List);
list!(BTreeSet<T> => TypeRef::Set);

impl<T: Described, S: 'static> Described for HashSet<T, S> {
    fn describe(registry: &mut Registry) -> TypeRef {
        TypeRef::Set(Box::new(T::describe(registry)))
    }
}

impl<T: Described, const N: usize> Described for [T; N] {
    fn describe(registry: &mut Registry) -> TypeRef {
        TypeRef::Array(Box::new(T::describe(registry)), N)
    }
}

impl<K: Described, V: Described> Described for BTreeMap<K, V> {
    fn describe(registry: &mut Registry) -> TypeRef {
        TypeRef::Mapping(Box::new(K::describe(registry)), Box::new(V::describe(registry)))
    }
}

impl<K: Described, V: Described, S: 'static> Described for HashMap<K, V, S> {
    fn describe(registry: &mut Registry) -> TypeRef {
        TypeRef::Mapping(Box::new(K::describe(registry)), Box::new(V::describe(registry)))
    }
}

macro_rules! tuples {
    ($($($ty:ident)+;)*) => {$(
        impl<$($ty: Described),+> Described for ($($ty,)+) {
            fn describe(registry: &mut Registry) -> TypeRef {
                TypeRef::Tuple(vec![$($ty::describe(registry)),+])
            }
        }
    )*};
}
tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
}

/// A field of a type that is described.
pub(super) fn field<T: Described + ?Sized>(name: &'static str, text: &'static str, registry: &mut Registry) -> Field {
    Field::new(name, text, T::describe(registry))
}

/// A struct with fields of these names.
pub(super) fn structure(name: &'static str, fields: Vec<Field>) -> TypeSchema {
    TypeSchema::new(name, Shape::Struct(StructSchema::new(Style::Named, fields)))
}

impl Described for Duration {
    fn describe(registry: &mut Registry) -> TypeRef {
        registry.named::<Self>("Duration", |registry| {
            structure("Duration", vec![field::<u64>("secs", "u64", registry), field::<u32>("nanos", "u32", registry)])
        })
    }
}

impl Described for SystemTime {
    fn describe(registry: &mut Registry) -> TypeRef {
        registry.named::<Self>("SystemTime", |registry| {
            let seconds = field::<u64>("secs_since_epoch", "u64", registry);
            structure("SystemTime", vec![seconds, field::<u32>("nanos_since_epoch", "u32", registry)])
        })
    }
}

/// `Range<T>` and its like, written with both ends.
fn range<T: Described, R: 'static>(registry: &mut Registry, name: &str) -> TypeRef {
    let end = T::describe(registry);
    registry.named::<R>(short_name::<R>(), |_| {
        let end = |name| Field::new(name, "Idx", end.clone());
        let shape = StructSchema::new(Style::Named, vec![end("start"), end("end")]);
        TypeSchema::new(name.to_owned(), Shape::Struct(shape))
    })
}

impl<T: Described> Described for Range<T> {
    fn describe(registry: &mut Registry) -> TypeRef {
        range::<T, Self>(registry, "Range")
    }
}

impl<T: Described> Described for RangeInclusive<T> {
    fn describe(registry: &mut Registry) -> TypeRef {
        range::<T, Self>(registry, "RangeInclusive")
    }
}

impl<T: Described, E: Described> Described for Result<T, E> {
    fn describe(registry: &mut Registry) -> TypeRef {
        let (value, error) = (T::describe(registry), E::describe(registry));
        registry.named::<Self>(short_name::<Self>(), |_| {
            let variant = |name, text, ty| Variant::new(name, Style::Newtype, vec![Field::new("0", text, ty)]);
            let variants = vec![variant("Ok", "T", value), variant("Err", "E", error)];
            TypeSchema::new("Result", Shape::Enum(EnumSchema::new(Tagging::External, variants)))
        })
    }
}
