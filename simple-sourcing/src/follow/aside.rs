use std::{collections::HashSet, sync::Arc};

use super::subscriber::Resume;
use crate::engine::Logged;

/// The events of a partition that are not applied.
pub(super) struct Aside {
    parked: HashSet<Arc<str>>,
    /// By offset.
    skipped: HashSet<u64>,
}

/// What is done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    Apply,
    Park,
    Skip,
}

impl Aside {
    pub(super) fn new(resume: Resume) -> Self {
        Aside {
            parked: resume.parked.into_iter().map(Arc::from).collect(),
            skipped: resume.skipped.into_iter().collect(),
        }
    }

    pub(super) fn treatment(&self, event: &Logged) -> Treatment {
        if self.skipped.contains(&event.offset) {
            Treatment::Skip
        } else if self.parked.contains(&event.record.key) {
            Treatment::Park
        } else {
            Treatment::Apply
        }
    }

    /// How many of the first events are treated alike.
    pub(super) fn alike(&self, events: &[Logged]) -> usize {
        if self.parked.is_empty() && self.skipped.is_empty() {
            return events.len();
        }
        let Some(first) = events.first().map(|event| self.treatment(event)) else { return 0 };
        events.iter().take_while(|event| self.treatment(event) == first).count()
    }

    pub(super) fn park(&mut self, key: Arc<str>) {
        self.parked.insert(key);
    }
}
