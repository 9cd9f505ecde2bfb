use std::marker::PhantomData;

use super::{CommandId, Sequence, Timestamp};

/// A type of which every value is read back from JSON as it was written. No float is, since one may be a `NaN`, nor a type of
/// which nothing is known here.
///
/// What is one is not read back for proof each time that it is written. So an implementation that is wrong lets through what
/// the log does not say: the trait is not for others to implement.
pub trait Exact {
    /// How many values stand within each other. JSON is read to a depth of 127.
    const DEPTH: usize = 1;
}

/// Types that nest deeper than this are not exact: an enum adds two levels, and a state or a list around it some more.
const DEPTH_MAX: usize = 64;

/// An exact type that is never written as `null`, as which `Option` writes nothing.
pub trait NeverNull: Exact {}

macro_rules! exact {
    ($($type:ty),* $(,)?) => {$(
        impl Exact for $type {}
        impl NeverNull for $type {}
    )*};
}

exact!(bool, char, String, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, CommandId, Sequence, Timestamp);

impl<T: NeverNull> Exact for Option<T> {
    const DEPTH: usize = T::DEPTH;
}

impl<T: Exact> Exact for Vec<T> {
    const DEPTH: usize = T::DEPTH + 1;
}

impl<T: Exact> NeverNull for Vec<T> {}
impl<T: Exact> Exact for Box<T> {
    const DEPTH: usize = T::DEPTH;
}

impl<T: NeverNull> NeverNull for Box<T> {}

/// Asks whether a type is exact: `IsExact::<T>::__SIMPLE_SOURCING_EXACT`, where `Unknown` is in scope.
pub struct IsExact<T>(PhantomData<T>);

impl<T: Exact> IsExact<T> {
    /// It is.
    pub const __SIMPLE_SOURCING_EXACT: bool = T::DEPTH <= DEPTH_MAX;
}

/// What is said of a type of which nothing is known: a constant of the type itself hides that of a trait.
pub trait Unknown {
    /// It is not known to be.
    const __SIMPLE_SOURCING_EXACT: bool = false;
}

impl<T> Unknown for IsExact<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, prelude::*};

    #[event(key = u8)]
    #[serde(rename_all = "kebab-case")]
    enum Exactly {
        #[create]
        Opened {
            owner: String,
            #[serde(rename = "of")]
            since: Option<Timestamp>,
        },
        Counted(Vec<u64>),
        Closed,
    }

    #[event(key = u8)]
    enum WithFloat {
        #[create]
        Weighed { kg: f64 },
    }

    #[event(key = u8)]
    enum WithTypeOfTheUser {
        #[create]
        Opened(Vec<OfTheUser>),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct OfTheUser(u8);

    #[event(key = u8)]
    enum WithWordOfSerde {
        #[create]
        Opened {
            #[serde(default)]
            owner: String,
        },
    }

    #[event(key = u8, manual(PartialEq))]
    enum ComparedByHand {
        #[create]
        Opened(u8),
    }

    impl PartialEq for ComparedByHand {
        fn eq(&self, _: &Self) -> bool {
            false
        }
    }

    #[test]
    fn an_event_is_exact_if_all_that_is_in_it_is() {
        let exact =
            [Exactly::EXACT, WithFloat::EXACT, WithTypeOfTheUser::EXACT, WithWordOfSerde::EXACT, ComparedByHand::EXACT];
        assert_eq!(exact, [true, false, false, false, false]);
    }

    #[test]
    fn only_what_is_known_is_exact() {
        type Alias = Option<Vec<u64>>;
        assert!(
            [
                IsExact::<u64>::__SIMPLE_SOURCING_EXACT,
                IsExact::<Alias>::__SIMPLE_SOURCING_EXACT,
                IsExact::<Option<Box<String>>>::__SIMPLE_SOURCING_EXACT
            ]
            .iter()
            .all(|yes| *yes)
        );
        assert!(
            [
                IsExact::<f64>::__SIMPLE_SOURCING_EXACT,
                IsExact::<Option<Option<u8>>>::__SIMPLE_SOURCING_EXACT,
                IsExact::<Option<Box<Option<u8>>>>::__SIMPLE_SOURCING_EXACT,
                IsExact::<Vec<f32>>::__SIMPLE_SOURCING_EXACT,
                IsExact::<u128>::__SIMPLE_SOURCING_EXACT,
                IsExact::<&str>::__SIMPLE_SOURCING_EXACT,
                IsExact::<std::collections::HashMap<String, u8>>::__SIMPLE_SOURCING_EXACT,
            ]
            .iter()
            .all(|yes| !yes)
        );
    }

    #[test]
    fn what_nests_deeper_than_json_is_read_is_not_exact() {
        type Eight<T> = Vec<Vec<Vec<Vec<Vec<Vec<Vec<Vec<T>>>>>>>>;
        type Deep<T> = Eight<Eight<Eight<Eight<T>>>>;
        let exact = [IsExact::<Deep<u8>>::__SIMPLE_SOURCING_EXACT, IsExact::<Deep<Deep<u8>>>::__SIMPLE_SOURCING_EXACT];
        assert_eq!(exact, [true, false]);
    }
}
