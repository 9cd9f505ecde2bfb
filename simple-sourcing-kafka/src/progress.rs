//! What a worker commits for a partition: the offset of the next command and, as the metadata of that offset, who has
//! committed it and which commands behind it were begun.
//!
//! The metadata is text, `ss1;next=42;process=0198…;end=57;deaths=1;begun=true`:
//!
//! | field | |
//! |---|---|
//! | `ss1` | the version: other metadata was not written by this crate |
//! | `next` | the committed offset again. If they differ, somebody has moved the offset and kept the metadata |
//! | `process` | the process of the worker; it has a new name after each start |
//! | `end`, `deaths`, `begun` | an [`Attempt`], if there is one |
//!
//! A reader ignores fields that it does not know.

use std::fmt::Write;

/// The version of the metadata.
const VERSION: &str = "ss1";

/// How many bytes of foreign metadata a message shows.
const FOREIGN_BYTES_SHOWN: usize = 100;

/// What is committed for a partition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    /// The offset of the next command.
    pub(crate) next: i64,
    pub(crate) attempt: Option<Attempt>,
}

/// Commands behind a committed offset that may kill the process that runs them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Attempt {
    /// The offset behind the last of them.
    pub(crate) end: i64,
    /// How many processes are known to have died with them before this attempt.
    pub(crate) deaths: u32,
    /// Whether they were begun. If the process that has begun them is gone, they may be the reason.
    pub(crate) begun: bool,
}

/// A committed offset, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Committed {
    pub(crate) next: i64,
    pub(crate) by: By,
}

/// Who has committed an offset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum By {
    /// A worker of this app.
    Worker { process: String, attempt: Option<Attempt> },
    /// Somebody else, or a worker of a version without metadata. Has the metadata, for messages.
    Other(String),
}

impl Progress {
    /// The metadata of the offset.
    pub(crate) fn metadata(&self, process: &str) -> String {
        let Progress { next, attempt } = self;
        let mut text = format!("{VERSION};next={next};process={process}");
        if let Some(Attempt { end, deaths, begun }) = attempt {
            // Writing to a string never fails.
            let _ = write!(text, ";end={end};deaths={deaths};begun={begun}");
        }
        text
    }
}

impl Committed {
    /// Reads an offset and its metadata.
    pub(crate) fn read(next: i64, metadata: &str) -> Self {
        let by = read(next, metadata).unwrap_or_else(|| By::Other(shown(metadata)));
        Committed { next, by }
    }

    pub(crate) fn is_by_a_worker(&self) -> bool {
        matches!(self.by, By::Worker { .. })
    }
}

/// None if the metadata does not belong to the offset.
fn read(next: i64, metadata: &str) -> Option<By> {
    let mut fields = metadata.split(';');
    if fields.next() != Some(VERSION) {
        return None;
    }
    let fields: Vec<(&str, &str)> = fields.filter_map(|field| field.split_once('=')).collect();
    let value = |name| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
    if value("next")?.parse::<i64>() != Ok(next) {
        return None;
    }
    let attempt = || {
        let (end, deaths) = (value("end")?.parse().ok()?, value("deaths")?.parse().ok()?);
        Some(Attempt { end, deaths, begun: value("begun")?.parse().ok()? })
    };
    Some(By::Worker { process: shown(value("process")?), attempt: attempt() })
}

/// Foreign text, made safe for a line of the log.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().flat_map(char::escape_debug).collect();
    if let Some(cut) = (0..=FOREIGN_BYTES_SHOWN).rev().find(|&at| shown.is_char_boundary(at))
        && cut < shown.len()
    {
        shown.truncate(cut);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for attempt in [None, Some(Attempt { end: 57, deaths: 2, begun: true })] {
            let metadata = Progress { next: 42, attempt }.metadata("p");
            let by = By::Worker { process: "p".to_owned(), attempt };
            assert_eq!(Committed::read(42, &metadata), Committed { next: 42, by });
        }
    }

    /// Metadata of the first version must stay readable.
    #[test]
    fn the_first_version_is_read() {
        let attempt = Some(Attempt { end: 57, deaths: 1, begun: true });
        let by = By::Worker { process: "0198".to_owned(), attempt };
        let metadata = "ss1;next=42;process=0198;end=57;deaths=1;begun=true";
        assert_eq!(Committed::read(42, metadata).by, by);
        assert_eq!(Committed::read(42, &format!("{metadata};later=1")).by, by);
        assert_eq!(Progress { next: 42, attempt }.metadata("0198"), metadata);
    }

    #[test]
    fn what_somebody_else_has_committed_is_not_taken_for_ours() {
        let ours = Progress { next: 42, attempt: None }.metadata("p");
        let others = [("", 42), ("ss2;next=42;process=p", 42), ("ss1;process=p", 42), ("ss1;next=42", 42), (&ours, 41)];
        for (metadata, next) in others {
            assert!(!Committed::read(next, metadata).is_by_a_worker(), "{next} {metadata}");
        }
        let Committed { by, .. } = Committed::read(1, &format!("a\nb{}", "ä".repeat(100)));
        assert!(matches!(&by, By::Other(shown) if shown.starts_with("a\\nb") && shown.len() < 110), "{by:?}");
    }
}
