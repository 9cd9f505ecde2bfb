use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{CommandId, Position, Sequence};

/// What the client gets for an accepted command.
///
/// It can leave the process, with serde or as a short text for an HTTP header: whoever handles the next request
/// can then [wait for a view](crate::View::wait_for) that holds the command's events.
///
/// ```
/// # use simple_sourcing::Receipt;
/// let text = "account/3:1842@7;018bcfe5-6800-7000-8000-000000000001";
/// let receipt: Receipt = text.parse()?;
/// assert_eq!((receipt.position.partition, receipt.position.offset, receipt.sequence.get()), (3, 1842, 7));
/// assert_eq!(receipt.to_string(), text);
/// # Ok::<(), simple_sourcing::ReceiptError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The wire name of the aggregate type, e.g. `account`.
    pub aggregate: Cow<'static, str>,
    /// The id under which the command can be sent again.
    pub command_id: CommandId,
    /// The sequence of the aggregate after the command, i.e. that of its last event. Expect it in the next command.
    pub sequence: Sequence,
    /// The position of the command in the log, which a view must have seen to hold this sequence. If the command had nothing
    /// to do, the position of the command that made the current sequence.
    pub position: Position,
    #[serde(default)]
    unchanged: bool,
}

impl Receipt {
    pub(crate) fn new(
        aggregate: &'static str,
        command_id: CommandId,
        sequence: Sequence,
        position: Position,
        unchanged: bool,
    ) -> Self {
        Receipt { aggregate: Cow::Borrowed(aggregate), command_id, sequence, position, unchanged }
    }

    /// Whether there was nothing to do: no event was written, and the sequence has not changed.
    pub fn is_unchanged(&self) -> bool {
        self.unchanged
    }
}

/// Follows the id of a command that had nothing to do.
const UNCHANGED: &str = ";unchanged";

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Receipt { aggregate, command_id, sequence, position, unchanged } = self;
        let unchanged = if *unchanged { UNCHANGED } else { "" };
        write!(f, "{aggregate}/{position}@{sequence};{command_id}{unchanged}")
    }
}

impl FromStr for Receipt {
    type Err = ReceiptError;

    fn from_str(text: &str) -> Result<Self, ReceiptError> {
        read_text(text).ok_or_else(|| ReceiptError(text.into()))
    }
}

fn read_text(text: &str) -> Option<Receipt> {
    let (rest, unchanged) = text.strip_suffix(UNCHANGED).map_or((text, false), |rest| (rest, true));
    let (place, command_id) = rest.split_once(';')?;
    let (aggregate, place) = place.split_once('/')?;
    let (position, sequence) = place.split_once('@')?;
    let (partition, offset) = position.split_once(':')?;
    let position = Position { partition: partition.parse().ok()?, offset: offset.parse().ok()? };
    let (command_id, sequence) = (command_id.parse().ok()?, Sequence::new(sequence.parse().ok()?));
    Some(Receipt { aggregate: Cow::Owned(aggregate.to_owned()), command_id, sequence, position, unchanged })
}

/// The text is not a [`Receipt`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a receipt: a receipt looks like `account/3:1842@7;018bcfe5-6800-7000-8000-000000000001`")]
pub struct ReceiptError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_survives_as_text_and_with_serde() {
        for unchanged in [false, true] {
            let receipt = Receipt {
                aggregate: "orders.v1".into(),
                command_id: CommandId::new(),
                sequence: Sequence::new(u64::MAX),
                position: Position { partition: 0, offset: u64::MAX },
                unchanged,
            };
            let text = receipt.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text} fits an HTTP header");
            assert_eq!(text.parse().as_ref(), Ok(&receipt));
            assert_eq!(serde_json::from_str::<Receipt>(&serde_json::to_string(&receipt).unwrap()).unwrap(), receipt);
        }
    }

    #[test]
    fn what_is_no_receipt_is_named() {
        for text in [
            "",
            "account",
            "account/3:1842@7",
            "account/3:1842@7;7",
            "account/-1:1@1;018bcfe5-6800-7000-8000-000000000001",
        ] {
            let error = text.parse::<Receipt>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?} is not a receipt")), "{error}");
        }
    }
}
