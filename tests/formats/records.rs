//! Records of topics as text: one block each, followed by an empty line. Bytes that are not printable ASCII are escaped
//! as in a byte string of Rust. A record has no line for what it lacks.

use std::fmt::Write;

use serde_json::Value;

/// A record as it is in a topic.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    /// In order.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Record {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The state in its value; none for a deleted aggregate, or for a record with another kind of value.
    pub(crate) fn state(&self) -> Option<Value> {
        serde_json::from_slice(self.value.as_ref()?).ok().filter(Value::is_object)
    }

    /// Replaces the value of a header.
    pub(crate) fn replace_header(&mut self, name: &str, value: &str) {
        for (_, old) in self.headers.iter_mut().filter(|(header, _)| header == name) {
            *old = value.into();
        }
    }
}

pub(crate) fn print(records: &[Record]) -> String {
    let mut text = String::new();
    for Record { partition, offset, timestamp, key, headers, value } in records {
        let mut line =
            |name: &str, value: &dyn std::fmt::Display| writeln!(text, "{name} {value}").expect("it is taken");
        line("record", &format_args!("{partition}:{offset} at {timestamp}"));
        if let Some(key) = key {
            line("key", &key.escape_ascii());
        }
        for (name, value) in headers {
            line("header", &format_args!("{name} {}", value.escape_ascii()));
        }
        if let Some(value) = value {
            line("value", &value.escape_ascii());
        }
        text.push('\n');
    }
    text
}

/// # Panics
/// If the text does not have this form.
pub(crate) fn parse(text: &str) -> Vec<Record> {
    text.split("\n\n").filter(|block| !block.trim().is_empty()).map(parse_one).collect()
}

fn parse_one(block: &str) -> Record {
    let mut record = Record::default();
    for line in block.lines() {
        let (name, rest) = line.split_once(' ').expect("a name and a value");
        match name {
            "record" => {
                let parsed = rest.split_once(" at ").and_then(|(place, time)| Some((place.split_once(':')?, time)));
                let ((partition, offset), time) = parsed.expect("a place and a time");
                record.partition = partition.parse().expect("a number");
                record.offset = offset.parse().expect("a number");
                record.timestamp = time.parse().expect("a number");
            }
            "key" => record.key = Some(unescape(rest)),
            "value" => record.value = Some(unescape(rest)),
            "header" => {
                let (name, value) = rest.split_once(' ').expect("a name and a value");
                record.headers.push((name.to_owned(), unescape(value)));
            }
            _ => panic!("what is `{line}`?"),
        }
    }
    record
}

/// What `escape_ascii` has written.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().expect("something is escaped") {
                b't' => b'\t',
                b'n' => b'\n',
                b'r' => b'\r',
                b'x' => {
                    let digits = [rest.next(), rest.next()].map(|digit| digit.expect("two digits") as char);
                    u8::from_str_radix(&digits.iter().collect::<String>(), 16).expect("two digits")
                }
                quoted => quoted,
            },
            plain => plain,
        });
    }
    bytes
}
