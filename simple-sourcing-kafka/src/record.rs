//! Kafka records in our own types, so that the types of a client library stay in its folder.

use std::{borrow::Cow, fmt, io::Write, ops::Range};

use simple_sourcing::{CommandId, Position, Sequence, Timestamp};

/// A record as it was read. A driver implements this for the type of its client library, so that reading a record
/// copies nothing.
pub(crate) trait Record {
    fn topic(&self) -> &str;

    fn partition(&self) -> u32;

    fn offset(&self) -> i64;

    fn key(&self) -> Option<&[u8]>;

    fn value(&self) -> Option<&[u8]>;

    /// The timestamp of the record. In a command topic it is the log's append time.
    fn time(&self) -> Timestamp;

    /// The headers in order. Each step may be a call into the client library.
    fn headers(&self) -> impl Iterator<Item = Header<'_>>;

    fn position(&self) -> Position {
        // The offset of a record that was read is never negative.
        Position { partition: self.partition(), offset: self.offset() as u64 }
    }

    /// The key as text; none if it is missing or not UTF-8.
    fn key_text(&self) -> Option<&str> {
        self.key().and_then(|key| std::str::from_utf8(key).ok())
    }
}

/// One header of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Header<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: Option<&'a [u8]>,
}

/// The headers of a record to write, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers {
    entries: Vec<Entry>,
    /// All values, one behind the other: records are written so often that an allocation for each would be noticed.
    values: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Entry {
    key: Cow<'static, str>,
    value: Option<Range<u32>>,
}

/// Enough for the values of most records.
const VALUES_BYTES: usize = 384;

impl Headers {
    pub(crate) fn with_capacity(headers: usize) -> Self {
        Headers { entries: Vec::with_capacity(headers), values: Vec::with_capacity(VALUES_BYTES) }
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl HeaderText) -> Self {
        let start = self.values.len() as u32;
        value.write(&mut self.values);
        self.entries.push(Entry { key: Cow::Borrowed(key), value: Some(start..self.values.len() as u32) });
        self
    }

    #[must_use]
    pub(crate) fn with_some(self, key: &'static str, value: Option<impl HeaderText>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Adds a header that was read from another record.
    pub(crate) fn push(&mut self, Header { key, value }: Header<'_>) {
        let start = self.values.len() as u32;
        let value = value.map(|value| {
            self.values.extend_from_slice(value);
            start..self.values.len() as u32
        });
        self.entries.push(Entry { key: Cow::Owned(key.to_owned()), value });
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Header<'_>> {
        let bytes = |range: &Range<u32>| &self.values[range.start as usize..range.end as usize];
        self.entries.iter().map(move |Entry { key, value }| Header { key, value: value.as_ref().map(bytes) })
    }
}

/// What is written into a header as text.
pub(crate) trait HeaderText {
    fn write(self, values: &mut Vec<u8>);
}

impl HeaderText for &str {
    fn write(self, values: &mut Vec<u8>) {
        values.extend_from_slice(self.as_bytes());
    }
}

impl HeaderText for u64 {
    // Several numbers are in each record, and this takes a third of the time that formatting does.
    fn write(mut self, values: &mut Vec<u8>) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (self % 10) as u8;
            self /= 10;
            if self == 0 {
                break;
            }
        }
        values.extend_from_slice(&digits[first..]);
    }
}

impl HeaderText for Sequence {
    fn write(self, values: &mut Vec<u8>) {
        self.get().write(values);
    }
}

impl HeaderText for CommandId {
    fn write(self, values: &mut Vec<u8>) {
        let mut text = uuid::Uuid::encode_buffer();
        self.as_uuid().hyphenated().encode_lower(&mut text).write(values);
    }
}

impl HeaderText for fmt::Arguments<'_> {
    fn write(self, values: &mut Vec<u8>) {
        // Writing to a vector never fails.
        let _ = values.write_fmt(self);
    }
}

/// Texts one behind the other.
impl<A: HeaderText, B: HeaderText, C: HeaderText> HeaderText for (A, B, C) {
    fn write(self, values: &mut Vec<u8>) {
        let (a, b, c) = self;
        a.write(values);
        b.write(values);
        c.write(values);
    }
}

/// A record that outlives the buffer of the client library.
#[derive(Debug, Clone)]
pub(crate) struct OwnedRecord {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) time: Timestamp,
    pub(crate) headers: Headers,
}

impl OwnedRecord {
    pub(crate) fn of(record: &impl Record) -> Self {
        let mut headers = Headers::default();
        record.headers().for_each(|header| headers.push(header));
        OwnedRecord {
            topic: record.topic().to_owned(),
            partition: record.partition(),
            offset: record.offset(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            time: record.time(),
            headers,
        }
    }
}

impl Record for OwnedRecord {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn partition(&self) -> u32 {
        self.partition
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    fn time(&self) -> Timestamp {
        self.time
    }

    fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.headers.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_were_written() {
        let mut headers =
            Headers::with_capacity(2).with("a", 7_u64).with_some("b", None::<u64>).with_some("c", Some("x"));
        headers.push(Header { key: "d", value: None });
        headers.push(Header { key: "a", value: Some(b"") });
        let read: Vec<_> = headers.iter().map(|Header { key, value }| (key, value)).collect();
        assert_eq!(read, [("a", Some(&b"7"[..])), ("c", Some(b"x")), ("d", None), ("a", Some(b""))]);
        assert_eq!(headers.len(), 4);
    }

    #[test]
    fn values_are_written_as_they_are_displayed() {
        let id = CommandId::new();
        let headers = Headers::default()
            .with("zero", 0_u64)
            .with("number", 1_230_u64)
            .with("greatest", u64::MAX)
            .with("sequence", Sequence::new(42))
            .with("id", id)
            .with("event", ("key", "/", Sequence::new(7)))
            .with("arguments", format_args!("{}.{}", 1, "b"));
        let written: Vec<_> = headers.iter().filter_map(|header| std::str::from_utf8(header.value?).ok()).collect();
        let displayed = ["0", "1230", &u64::MAX.to_string(), "42", &id.to_string(), "key/7", "1.b"];
        assert_eq!(written, displayed);
    }
}
