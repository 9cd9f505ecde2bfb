use super::table::WrongTable;

/// Why a projection does not start, before it has asked its store for anything. A store's failures hold it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStarted {
    /// The app runs a projection with this name and version.
    #[error(
        "version {version} of projection `{projection}` already runs in this app: give one of the two another name, or drop the \
         first before you start it again"
    )]
    Twice {
        /// The name of the projection.
        projection: String,
        /// Its version.
        version: u32,
    },

    /// It follows the events of an aggregate type that the app does not know.
    #[error(
        "projection `{projection}` follows the events of `{aggregate}`, and the app does not know this aggregate type: add it to \
         the app, with `aggregate` or `contract`"
    )]
    UnknownAggregate {
        /// The name of the projection.
        projection: String,
        /// The wire name of the aggregate type.
        aggregate: &'static str,
    },

    /// A [`Table`](super::Table) contradicts itself, or the aggregate.
    #[error("table `{table}`: {cause}")]
    Table {
        /// The name of the table.
        table: String,
        /// What is wrong with it.
        cause: Box<WrongTable>,
    },
}
