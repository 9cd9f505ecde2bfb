use std::marker::PhantomData;

use super::{CommandId, Sequence, Timestamp};

/// A type of which every value is read back from JSON as it was written. No float is, since one may be a `NaN`, nor a type of
/// which nothing is known here.
///
/// What is one is not read back for proof each time that it is written. So an implementation that is wrong lets through what
/// the log does not say: the trait is not for others to implement.
pub trait Exact {}

/// An exact type that is never written as `null`, as which `Option` writes nothing.
pub trait NeverNull: Exact {}

macro_rules! exact {
    ($($type:ty),* $(,)?) => {$(
        impl Exact for $type {}
        impl NeverNull for $type {}
    )*};
}

exact!(bool, char, String, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, CommandId, Sequence, Timestamp);

impl<T: NeverNull> Exact for Option<T> {}
impl<T: Exact> Exact for Vec<T> {}
impl<T: Exact> NeverNull for Vec<T> {}
impl<T: Exact> Exact for Box<T> {}
impl<T: NeverNull> NeverNull for Box<T> {}

/// Asks whether a type is [`Exact`]: `IsExact::<T>::YES`, where [`Unknown`] is in scope.
pub struct IsExact<T>(PhantomData<T>);

impl<T: Exact> IsExact<T> {
    /// It is.
    pub const YES: bool = true;
}

/// What is said of a type of which nothing is known: a constant of the type itself hides that of a trait.
pub trait Unknown {
    /// It is not known to be.
    const YES: bool = false;
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
            [IsExact::<u64>::YES, IsExact::<Alias>::YES, IsExact::<Option<Box<String>>>::YES].iter().all(|yes| *yes)
        );
        assert!(
            [
                IsExact::<f64>::YES,
                IsExact::<Option<Option<u8>>>::YES,
                IsExact::<Option<Box<Option<u8>>>>::YES,
                IsExact::<Vec<f32>>::YES,
                IsExact::<u128>::YES,
                IsExact::<&str>::YES,
                IsExact::<std::collections::HashMap<String, u8>>::YES,
            ]
            .iter()
            .all(|yes| !yes)
        );
    }
}
