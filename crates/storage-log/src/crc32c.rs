//! CRC-32C (Castagnoli, reflected), the checksum of all files of the log.

use crc_fast::{CrcAlgorithm, Digest};

/// The checksum of bytes.
pub(crate) fn of(bytes: &[u8]) -> u32 {
    append(0, bytes)
}

/// The checksum of some bytes and what follows them, from the checksum of the former.
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!crc));
    digest.update(bytes);
    digest.finalize() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
    #[test]
    fn it_is_the_checksum_of_iscsi() {
        assert_eq!(of(b""), 0);
        assert_eq!(of(b"123456789"), 0xE306_9283);
        assert_eq!(of(&[0; 32]), 0x8A91_36AA);
        assert_eq!(of(&[0xFF; 32]), 0x62A8_AB43);
    }

    proptest! {
        /// A bit at a time, as it is defined.
        #[test]
        fn it_is_what_is_defined(bytes in prop::collection::vec(any::<u8>(), 0..5000), at in 0..5000_usize) {
            let mut crc = !0_u32;
            for byte in &bytes {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
                }
            }
            prop_assert_eq!(of(&bytes), !crc);
            let (first, rest) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(append(of(first), rest), !crc);
        }
    }
}
