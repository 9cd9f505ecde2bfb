//! The types of chrono, as its feature `serde` writes them.

use ::chrono::{DateTime, Month, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Weekday};

use super::{
    data::{TextFormat, TypeRef},
    registry::{Described, Registry},
    std_types::described,
};

described! {
    NaiveDateTime => TypeRef::Text(TextFormat::LocalDateTime);
    NaiveDate => TypeRef::Text(TextFormat::Date);
    NaiveTime => TypeRef::Text(TextFormat::Time);
    Weekday, Month => TypeRef::Text(TextFormat::Any);
}

impl<Z: TimeZone + 'static> Described for DateTime<Z> {
    fn describe(_: &mut Registry) -> TypeRef {
        TypeRef::Text(TextFormat::DateTime)
    }
}

#[cfg(test)]
mod tests {
    use ::chrono::Utc;
    use serde::Serialize;

    use super::*;

    fn described<T: Described + Serialize>(value: &T) -> (TypeRef, String) {
        (T::describe(&mut Registry::new()), serde_json::to_string(value).unwrap())
    }

    #[test]
    fn texts_are_of_the_format_that_is_said() {
        let text = |format, text: &str| (TypeRef::Text(format), format!("\"{text}\""));
        let time = DateTime::<Utc>::UNIX_EPOCH;
        assert_eq!(described(&time), text(TextFormat::DateTime, "1970-01-01T00:00:00Z"));
        assert_eq!(described(&time.naive_utc()), text(TextFormat::LocalDateTime, "1970-01-01T00:00:00"));
        assert_eq!(described(&time.date_naive()), text(TextFormat::Date, "1970-01-01"));
        assert_eq!(described(&time.time()), text(TextFormat::Time, "00:00:00"));
        assert_eq!(described(&Weekday::Mon), text(TextFormat::Any, "Mon"));
    }
}
