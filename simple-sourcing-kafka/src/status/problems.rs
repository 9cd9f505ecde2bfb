use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What keeps an app from working as it should, as the watch has found it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems(Arc<Mutex<BTreeMap<Problem, Vec<String>>>>);

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Problem {
    /// The topics can't be checked.
    Unchecked,
    /// A topic is not as it must be.
    Topics,
    /// Somebody's transactions hold back readers.
    OpenTransactions,
    /// Members of the group that do not belong to the app.
    ForeignMembers,
}

impl Problems {
    /// Replaces what is known of this kind.
    pub(crate) fn set(&self, kind: Problem, all: impl IntoIterator<Item = String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, all.into_iter().collect());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_there_until_it_is_solved() {
        let problems = Problems::default();
        problems.clone().set(Problem::ForeignMembers, ["a member".to_owned()]);
        problems.set(Problem::Unchecked, Some("no broker answers".to_owned()));
        assert_eq!(problems.all(), ["no broker answers", "a member"]);
        problems.set(Problem::Unchecked, None);
        assert_eq!(problems.all(), ["a member"]);
    }
}
