use std::fmt;

/// The type of a column of a [`Table`](super::Table). All but [`Json`](Column::Json) hold what is a single value in the JSON of
/// the state; where there is none, or `null`, a column is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Column {
    /// An integer. In PostgreSQL it is `bigint`, or `numeric` for a type that has values beyond it, such as `u64`. SQLite has
    /// `INTEGER`: a value beyond an `i64` can't be written, so its event fails.
    Integer,
    /// A floating-point number: `double precision`, `REAL`.
    Real,
    /// A text: `text`. A text in PostgreSQL can't hold the character 0, so an event that would put it there fails.
    Text,
    /// True or false: `boolean` in PostgreSQL, in SQLite `INTEGER` with 1 and 0.
    Boolean,
    /// A time to the microsecond, in UTC: `timestamptz` in PostgreSQL, in SQLite a text that sorts by time,
    /// `2026-01-31T23:59:59.000000Z`. The state has it as a text with an offset (RFC 3339), or as a number of milliseconds since
    /// 1970, as a [`Timestamp`](crate::Timestamp) is written.
    Timestamp,
    /// A UUID: `uuid` in PostgreSQL, in SQLite a text in lower case.
    Uuid,
    /// Whatever stands there, as JSON: `json` in PostgreSQL, in SQLite a text.
    Json,
}

impl Column {
    /// All, those that say most first.
    pub(super) const ALL: [Column; 7] =
        [Column::Boolean, Column::Integer, Column::Real, Column::Uuid, Column::Timestamp, Column::Text, Column::Json];

    /// What it holds, in words.
    pub(super) fn holds(self) -> &'static str {
        match self {
            Column::Integer => "an integer",
            Column::Real => "a floating-point number",
            Column::Text => "a text",
            Column::Boolean => "a boolean",
            Column::Timestamp => "a time",
            Column::Uuid => "a UUID",
            Column::Json => "any JSON",
        }
    }
}

/// As it stands in the source: `Column::Integer`.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Column::{self:?}")
    }
}
