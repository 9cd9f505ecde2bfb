//! The tables of a projection, as its user has written them.

use std::sync::Arc;

use crate::error::Error;

/// The layout of the library's own tables. A change to them gets another number, and code that brings the old ones up to it.
pub(crate) const LAYOUT: i64 = 1;

/// Statements that create the tables of a projection.
#[derive(Debug, Clone)]
pub(crate) struct Tables(Arc<str>);

impl Tables {
    /// None: the projection writes into tables that its user creates.
    pub(crate) fn none() -> Self {
        Tables("".into())
    }

    pub(crate) fn new(statements: &str) -> Self {
        Tables(statements.into())
    }

    /// Those that the projection brings along; if it brings none, these.
    pub(crate) fn of(&self, projection: Option<&str>) -> Self {
        projection.map_or_else(|| self.clone(), Tables::new)
    }

    /// As it is written, to be run and to be stored.
    pub(crate) fn text(&self) -> Arc<str> {
        self.0.clone()
    }

    /// A version keeps the tables that it was created with.
    pub(crate) fn check(&self, created: &str, projection: &str, version: u32) -> Result<(), Error> {
        if lines(created).eq(lines(&self.0)) {
            Ok(())
        } else {
            Err(Error::OtherTables { projection: projection.to_owned(), version })
        }
    }
}

/// Without what a checkout or an editor changes: ends of lines, and empty ones.
fn lines(statements: &str) -> impl Iterator<Item = &str> {
    statements.lines().map(str::trim_end).filter(|line| !line.is_empty())
}

/// Checks the layout of the library's own tables.
pub(crate) fn check_layout(found: i64) -> Result<(), Error> {
    if found == LAYOUT { Ok(()) } else { Err(Error::UnknownLayout { found, known: LAYOUT }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_lines_make_no_difference_and_anything_else_does() {
        let tables = Tables::new("CREATE TABLE a (b text);\n\nCREATE TABLE c (d text);\n");
        let same = Tables::new("CREATE TABLE a (b text);  \r\nCREATE TABLE c (d text);");
        assert!(tables.check(&same.text(), "balances", 1).is_ok());
        let other = Tables::new("CREATE TABLE a (b bigint);\nCREATE TABLE c (d text);");
        let error = tables.check(&other.text(), "balances", 1).unwrap_err().to_string();
        assert!(error.contains("version = 2") && error.contains("`balances`"), "{error}");
    }
}
