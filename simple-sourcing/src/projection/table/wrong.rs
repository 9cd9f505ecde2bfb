use super::column::Column;

/// What is wrong with a [`Table`](super::Table).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongTable {
    /// Databases would need quotes for the name, or have no room for it.
    #[error("a table's name must start with a letter and have at most 40 characters: `a` to `z`, digits and `_`")]
    TableName,

    /// As for a table.
    #[error(
        "{column:?} can't be a column: its name must start with a letter and have at most 40 characters: `a` to `z`, digits and `_`"
    )]
    ColumnName {
        /// The name.
        column: String,
    },

    /// Each table has a column of this name, or the database has.
    #[error("`{column}` can't be a column of yours, because each table has one of this name: give it another name")]
    Reserved {
        /// The name.
        column: String,
    },

    /// Two columns have the same name.
    #[error("it has two columns `{column}`: give one of them another name")]
    ColumnTwice {
        /// The name.
        column: String,
    },

    /// The pointer of a column is none.
    #[error(
        "column `{column}`: {pointer:?} is no JSON pointer: write `/` before each name, as in `/address/city`; in a name, write `~1` \
         for `/` and `~0` for `~`"
    )]
    Pointer {
        /// The name of the column.
        column: String,
        /// Its pointer.
        pointer: String,
    },

    /// There is never anything where the column points to.
    #[error("column `{column}`: there is nothing at `{pointer}` of `{state}`, where {instead}")]
    LeadsNowhere {
        /// The name of the column.
        column: String,
        /// Its pointer.
        pointer: String,
        /// The type of the state.
        state: String,
        /// What there is, in words, at the last place before which the pointer is right.
        instead: String,
    },

    /// What is there does not fit the type of the column.
    #[error("column `{column}` is `{wanted}`, but at `{pointer}` of `{state}` is {found}: use `{fits}`")]
    DoesNotFit {
        /// The name of the column.
        column: String,
        /// Its pointer.
        pointer: String,
        /// Its type.
        wanted: Column,
        /// The type of the state.
        state: String,
        /// What is there, in words.
        found: String,
        /// The type that fits.
        fits: Column,
    },

    /// An index over a column that there is not.
    #[error("an index over `{column}`, which is no column: there are {columns}")]
    IndexUnknown {
        /// The name.
        column: String,
        /// The columns that can have an index.
        columns: String,
    },

    /// Two indexes over one column.
    #[error("it has two indexes over `{column}`: leave one out")]
    IndexTwice {
        /// The name of the column.
        column: String,
    },

    /// JSON has no order.
    #[error(
        "an index over `{column}`, which is `Column::Json` and has no order: point a column of another type to a value in it"
    )]
    IndexOverJson {
        /// The name of the column.
        column: String,
    },
}
