//! Records of librdkafka as records of this crate.

use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _, OwnedHeaders},
};
use simple_sourcing::Timestamp;

use crate::record::{Header, Headers, Record};

impl Record for BorrowedMessage<'_> {
    fn topic(&self) -> &str {
        Message::topic(self)
    }

    fn partition(&self) -> u32 {
        // Never negative on a record that was read.
        Message::partition(self) as u32
    }

    fn offset(&self) -> i64 {
        Message::offset(self)
    }

    fn key(&self) -> Option<&[u8]> {
        Message::key(self)
    }

    fn value(&self) -> Option<&[u8]> {
        Message::payload(self)
    }

    fn time(&self) -> Timestamp {
        let millis = Message::timestamp(self).to_millis().and_then(|millis| u64::try_from(millis).ok());
        Timestamp::from_millis(millis.unwrap_or(0))
    }

    fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        let headers = Message::headers(self).into_iter().flat_map(|headers| headers.iter());
        headers.map(|header| Header { key: header.key, value: header.value })
    }
}

/// Headers in the type of librdkafka.
pub(super) fn native(headers: &Headers) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |native, Header { key, value }| {
        native.insert(rdkafka::message::Header { key, value })
    })
}
