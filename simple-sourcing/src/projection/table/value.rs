use serde_json::value::RawValue;

use super::{column::Column, layout::TableColumn, pointer, time};

/// From here on not every integer is an `f64`.
const F64_EXACT_MAX: u64 = 1 << 53;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TableValue {
    /// There is none.
    Null,
    /// An integer in digits, of any size.
    Integer(String),
    /// A floating-point number.
    Real(f64),
    /// A text.
    Text(String),
    /// True or false.
    Boolean(bool),
    /// A time in UTC: `2026-01-31T23:59:59.000000Z`.
    Timestamp(String),
    /// A UUID with hyphens, in lower case.
    Uuid(String),
    /// JSON.
    Json(String),
}

impl TableColumn {
    /// The value of this column in an encoded state.
    ///
    /// # Errors
    /// When what is there does not fit.
    pub(super) fn value(&self, state: &RawValue) -> Result<TableValue, String> {
        let found = pointer::find(state, &self.steps).map_err(|error| error.to_string())?;
        match found.map(RawValue::get) {
            None | Some("null") if self.is_nullable => Ok(TableValue::Null),
            None => Err("there is nothing, although the schema says so".to_owned()),
            Some(json) => read(self.column, json).ok_or_else(|| wrong(self.column, json)),
        }
    }
}

fn read(column: Column, json: &str) -> Option<TableValue> {
    Some(match column {
        Column::Integer => TableValue::Integer(integer(json)?.into()),
        Column::Real => TableValue::Real(real(json)?),
        Column::Text => TableValue::Text(text(json)?),
        Column::Boolean => TableValue::Boolean(serde_json::from_str(json).ok()?),
        Column::Timestamp => {
            let time = match integer(json) {
                Some(millis) => time::from_millis(millis.parse().ok()?),
                None => time::from_rfc3339(&text(json)?),
            };
            TableValue::Timestamp(time?)
        }
        Column::Uuid => TableValue::Uuid(text(json)?.parse::<uuid::Uuid>().ok()?.to_string()),
        Column::Json => TableValue::Json(json.into()),
    })
}

/// A number without a fraction or an exponent.
fn integer(json: &str) -> Option<&str> {
    let digits = json.strip_prefix('-').unwrap_or(json);
    digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(json)
}

/// Exactly the number, or none.
fn real(json: &str) -> Option<f64> {
    if let Some(integer) = integer(json) {
        let is_exact = integer.trim_start_matches('-').parse().is_ok_and(|size: u64| size <= F64_EXACT_MAX);
        return is_exact.then(|| integer.parse().ok())?;
    }
    serde_json::from_str(json).ok().filter(|number: &f64| number.is_finite())
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// What is there is not shown, but for what it is: it may be long, or nobody's business.
fn wrong(column: Column, json: &str) -> String {
    let found = match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "`null`",
        _ if integer(json).is_some() => "an integer",
        _ => "a floating-point number",
    };
    let reason = match (column, found) {
        (Column::Uuid, "a text") => " that is no UUID",
        (Column::Timestamp, "a text") => " that is no time with an offset (RFC 3339), in the years 1 to 9999",
        (Column::Timestamp, "an integer") => ", which is no time in the years 1 to 9999",
        (Column::Real, "an integer") => " that no floating-point number is equal to",
        _ => "",
    };
    format!("{} was expected, and there is {found}{reason}", column.holds())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(column: Column, json: &str) -> Result<TableValue, String> {
        read(column, json).ok_or_else(|| wrong(column, json))
    }

    #[test]
    fn values_are_exact_or_none() {
        for integer in ["0", "-1", "18446744073709551615", "-170141183460469231731687303715884105728"] {
            assert_eq!(value(Column::Integer, integer), Ok(TableValue::Integer(integer.into())));
        }
        assert_eq!(value(Column::Real, "0.1"), Ok(TableValue::Real(0.1)));
        assert_eq!(value(Column::Real, "-9007199254740992"), Ok(TableValue::Real(-9_007_199_254_740_992.0)));
        assert_eq!(value(Column::Text, r#""a\u0000\"é""#), Ok(TableValue::Text("a\0\"é".into())));
        assert_eq!(value(Column::Boolean, "true"), Ok(TableValue::Boolean(true)));
        let time = Ok(TableValue::Timestamp("1970-01-01T00:00:01.500000Z".into()));
        assert_eq!(value(Column::Timestamp, "1500"), time);
        assert_eq!(value(Column::Timestamp, r#""1970-01-01T01:00:01.5+01:00""#), time);
        let uuid = r#""67E55044-10B1-426F-9247-BB680E5FE0C8""#;
        let lower = TableValue::Uuid("67e55044-10b1-426f-9247-bb680e5fe0c8".into());
        assert_eq!(value(Column::Uuid, uuid), Ok(lower));
        assert_eq!(value(Column::Json, "[1.0,{}]"), Ok(TableValue::Json("[1.0,{}]".into())));
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_what_is_there() {
        let cases = [
            (Column::Integer, "1.0", "an integer was expected, and there is a floating-point number"),
            (Column::Integer, r#""1""#, "there is a text"),
            (Column::Real, "9007199254740993", "that no floating-point number is equal to"),
            (Column::Real, "1e999", "a floating-point number was expected"),
            (Column::Text, "7", "a text was expected, and there is an integer"),
            (Column::Boolean, "1", "a boolean was expected, and there is an integer"),
            (Column::Timestamp, r#""yesterday""#, "no time with an offset"),
            (Column::Timestamp, "18446744073709551615", "no time in the years"),
            (Column::Uuid, r#""7""#, "no UUID"),
            (Column::Uuid, "[]", "a UUID was expected, and there is a list"),
            (Column::Integer, "null", "there is `null`"),
        ];
        for (column, json, words) in cases {
            let error = value(column, json).expect_err(json);
            assert!(error.contains(words), "{error}");
        }
    }
}
