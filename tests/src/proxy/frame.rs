use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A kind of request, by its number in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
#[allow(missing_docs, reason = "the names are Kafka's")]
pub enum Api {
    Produce = 0,
    EndTxn = 26,
    TxnOffsetCommit = 28,
}

/// A request or a reply, with the length before it.
#[derive(Debug, Clone)]
pub struct Frame(pub(super) Vec<u8>);

impl Frame {
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
        let mut length = [0; 4];
        from.read_exact(&mut length).await?;
        let mut frame = length.to_vec();
        frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
        from.read_exact(&mut frame[4..]).await?;
        Ok(Frame(frame))
    }

    fn number<const LENGTH: usize>(&self, at: usize) -> [u8; LENGTH] {
        self.0.get(at..at + LENGTH).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; LENGTH])
    }

    /// What a request is for.
    pub(super) fn is(&self, api: Api) -> bool {
        i16::from_be_bytes(self.number(4)) == api as i16
    }

    /// By which a reply knows its request.
    pub(super) fn request_correlation(&self) -> i32 {
        i32::from_be_bytes(self.number(8))
    }

    pub(super) fn reply_correlation(&self) -> i32 {
        i32::from_be_bytes(self.number(4))
    }

    /// The error in the reply to an [`Api::EndTxn`], 0 where there is none: behind the correlation and a throttle time.
    #[must_use]
    pub fn end_txn_error(&self) -> i16 {
        i16::from_be_bytes(self.number(12))
    }
}
