use std::fmt;

/// A guarantee that does not hold, numbered as in the design, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `G1` to `G11`.
    pub guarantee: &'static str,
    /// The key of the aggregate, or the partition where no key is concerned.
    pub key: String,
    /// What is wrong, with the commands concerned.
    pub what: String,
}

impl Violation {
    pub(super) fn new(guarantee: &'static str, key: impl Into<String>, what: String) -> Self {
        Violation { guarantee, key: key.into(), what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold for `{}`: {}", self.guarantee, self.key, self.what)
    }
}

/// How many there are, and the first of them.
#[must_use]
pub fn report(violations: &[Violation]) -> String {
    let first: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
    format!("{} violations, the first:\n{}", violations.len(), first.join("\n"))
}
