use crate::error::BackendError;

/// The most partitions of a store or topic that an [`App`](crate::App) creates.
///
/// Each partition costs memory, files and time at every start, and a few per core are enough. A greater number is a mistake,
/// and can't be reduced later. A store or topic that somebody created with more is used as it is.
pub const PARTITIONS_MAX: u32 = 10_000;

/// Refuses to create too many partitions.
///
/// # Errors
/// When it is over [`PARTITIONS_MAX`].
pub fn check_new_partitions(partitions: u32) -> Result<(), BackendError> {
    if partitions <= PARTITIONS_MAX {
        return Ok(());
    }
    Err(BackendError::failed(format!(
        "{partitions} partitions are too many: at most {PARTITIONS_MAX} are created, and a few per core are enough; \
         correct `.partitions(...)`"
    )))
}

/// The partition of a key: the one that Kafka's `murmur2_random` partitioner chooses. So clients in other languages agree, and
/// a key has the same partition on every backend with the same number of partitions.
///
/// # Panics
/// When the number of partitions is 0.
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % partitions
}

/// MurmurHash2, 32 bit, with the seed of Kafka's Java client (`org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_partitions_are_made_and_no_more() {
        assert!(check_new_partitions(PARTITIONS_MAX).is_ok());
        let error = check_new_partitions(PARTITIONS_MAX + 1).unwrap_err().to_string();
        assert!(error.contains("10001") && error.contains("10000"), "{error}");
    }

    #[test]
    fn murmur2_is_that_of_the_java_client() {
        // The cases of UtilsTest.testMurmur2 in Apache Kafka.
        let cases: [(&str, i32); 7] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 275_646_681),
        ];
        for (text, hash) in cases {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }
}
