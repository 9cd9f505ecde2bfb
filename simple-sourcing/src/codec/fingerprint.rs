use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Payload;

/// The 64-bit XXH3 of a JSON payload, seeded with that of the key.
const XXH3: u8 = 0;

/// Of a payload of another codec: 32 bits of the hash of its content type, then 32 bits of the same hash as above.
const XXH3_OF_CODEC: u8 = 1;

/// The hash of a command's key and payload, with its algorithm: the same id with another hash is another command.
///
/// Its text has two hexadecimal digits for the algorithm and sixteen for the hash: `000123456789abcdef`. Earlier versions
/// wrote only the sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    algorithm: u8,
    hash: u64,
}

impl Fingerprint {
    /// The fingerprint of a command.
    ///
    /// Another codec writes the same command as other bytes, so hashes are compared only where both are of one content type. A
    /// client that sends a command again after it has changed its codec is not told that the id belongs to another command.
    pub fn of(key: &str, payload: &Payload) -> Self {
        let hash = xxh3_64_with_seed(&payload.bytes, xxh3_64(key.as_bytes()));
        let encoding = &payload.encoding;
        if encoding.is_json() {
            return Fingerprint::xxh3(hash);
        }
        let codec = xxh3_64(encoding.content_type().as_bytes());
        Fingerprint { algorithm: XXH3_OF_CODEC, hash: codec << 32 | hash & u64::from(u32::MAX) }
    }

    /// A hash by the only algorithm that earlier versions knew.
    pub const fn xxh3(hash: u64) -> Self {
        Fingerprint { algorithm: XXH3, hash }
    }

    /// Whether both may belong to the same command. Hashes by different algorithms can't be compared, and count as equal:
    /// sending an id again is common, using it for two commands is a mistake.
    pub fn agrees(self, other: Fingerprint) -> bool {
        let can_compare = match (self.algorithm, other.algorithm) {
            (XXH3_OF_CODEC, XXH3_OF_CODEC) => self.hash >> 32 == other.hash >> 32,
            (one, other) => one == other,
        };
        !can_compare || self.hash == other.hash
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:016x}", self.algorithm, self.hash)
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        // `from_str_radix` alone would accept a sign.
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoFingerprint);
        }
        let (algorithm, hash) = match text.len() {
            16 => ("00", text),
            18 => text.split_at(2),
            _ => return Err(NoFingerprint),
        };
        let algorithm = u8::from_str_radix(algorithm, 16).map_err(|_| NoFingerprint)?;
        let hash = u64::from_str_radix(hash, 16).map_err(|_| NoFingerprint)?;
        Ok(Fingerprint { algorithm, hash })
    }
}

/// The text is not a [`Fingerprint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 18 hexadecimal digits, or 16 if an earlier version wrote it")]
pub struct NoFingerprint;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Encoding;

    #[test]
    fn its_text_is_read_back_and_so_is_that_of_earlier_versions() {
        let fingerprint = Fingerprint::of("alice", &Payload::json("{}"));
        let text = fingerprint.to_string();
        assert_eq!(text.len(), 18);
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(text[2..].parse(), Ok(fingerprint), "as it was written before there were algorithms");
        // They read the hash as a number, so leading zeros change nothing.
        assert_eq!(u64::from_str_radix(&text, 16), u64::from_str_radix(&text[2..], 16));
        for text in ["", "7", "zz0123456789abcdef", "00zz23456789abcdef", "0000123456789abcdef0", "+123456789abcdef"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(NoFingerprint), "{text}");
        }
    }

    #[test]
    fn a_command_is_the_same_under_another_codec() {
        let json = Payload::json("{}");
        let mut other = Payload::json("[]");
        other.encoding = Encoding::new("application/cbor", 1);
        let of = |payload: &Payload| Fingerprint::of("alice", payload);
        assert!(of(&json).agrees(of(&other)));
        assert!(!of(&json).agrees(of(&Payload::json("[]"))));
        assert!(!of(&other).agrees(of(&Payload { bytes: "()".into(), ..other.clone() })));
        for name in ["application/x-protobuf", "application/x-msgpack", "application/vnd.bank.v1"] {
            let third = Payload { encoding: Encoding::new(name, 1), bytes: "()".into() };
            assert!(of(&other).agrees(of(&third)), "{name}");
        }
    }

    #[test]
    fn hashes_are_compared_under_one_algorithm() {
        let (one, other) = (Fingerprint::xxh3(1), Fingerprint::xxh3(2));
        assert!(one.agrees(one) && !one.agrees(other));
        assert!(one.agrees(Fingerprint { algorithm: 7, ..other }), "an unknown algorithm proves nothing");
    }
}
