//! The types of time. Its feature `serde-human-readable` writes texts, and without it they are lists of numbers. Any crate of
//! the program may have switched it on, so a value is written to find out.

use ::time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use serde::Serialize;

use super::{
    data::{TextFormat, TypeRef},
    registry::{Described, Registry},
};

/// A type as the text or the list that this value of it is.
fn like<L: Described>(value: impl Serialize, format: TextFormat, registry: &mut Registry) -> TypeRef {
    if serde_json::to_value(value).is_ok_and(|json| json.is_string()) {
        TypeRef::Text(format)
    } else {
        L::describe(registry)
    }
}

/// A value of each type, what it is as a list, and what it is as a text.
macro_rules! described_by_a_value {
    ($($ty:ty: $value:expr, $list:ty, $format:ident;)*) => {$(
        impl Described for $ty {
            fn describe(registry: &mut Registry) -> TypeRef {
                like::<$list>($value, TextFormat::$format, registry)
            }
        }
    )*};
}

// Year and day of the year; hour, minute, second, nanosecond; hours, minutes and seconds of the offset.
described_by_a_value! {
    Date: OffsetDateTime::UNIX_EPOCH.date(), (i32, u16), Date;
    Time: Time::MIDNIGHT, (u8, u8, u8, u32), Time;
    UtcOffset: UtcOffset::UTC, (i8, i8, i8), Any;
    PrimitiveDateTime: PrimitiveDateTime::MIN, (i32, u16, u8, u8, u8, u32), Any;
    OffsetDateTime: OffsetDateTime::UNIX_EPOCH, (i32, u16, u8, u8, u8, u32, i8, i8, i8), Any;
    Duration: Duration::ZERO, (i64, i32), Any;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length<T: Described + Serialize>(value: &T) -> (usize, usize) {
        let json = serde_json::to_value(value).unwrap();
        let described = match T::describe(&mut Registry::new()) {
            TypeRef::Tuple(of) => of.len(),
            _ => 0,
        };
        (described, json.as_array().map_or(0, Vec::len))
    }

    #[test]
    fn lists_are_as_long_as_is_said() {
        let time = OffsetDateTime::UNIX_EPOCH;
        for (described, written) in [
            length(&time),
            length(&time.date()),
            length(&time.time()),
            length(&time.offset()),
            length(&PrimitiveDateTime::MIN),
            length(&Duration::SECOND),
        ] {
            assert_eq!(described, written);
        }
    }
}
