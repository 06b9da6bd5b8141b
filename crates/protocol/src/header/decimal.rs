//! Strict decimal numbers: digits and nothing else.

/// Reads a run of ASCII digits; `None` for anything else, a sign or a space included.
///
/// A number too large for `u64` gives `u64::MAX`. Every header has an upper bound far below it, so
/// callers refuse it as too large.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    let well_formed = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    well_formed.then(|| digits.iter().fold(0, push_digit))
}

/// Reads a number as [`decimal`] does, but refuses leading zeros.
pub(super) fn canonical_decimal(digits: &[u8]) -> Option<u64> {
    match digits {
        [b'0', _, ..] => None,
        _ => decimal(digits),
    }
}

fn push_digit(number: u64, digit: &u8) -> u64 {
    number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_digits_are_numbers() {
        assert_eq!(decimal(b"0042"), Some(42));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"99999999999999999999999"), Some(u64::MAX));
        for bad in [&b""[..], b"+1", b"-1", b" 1", b"1 ", b"1.0", b"1e3", b"0x1", "١".as_bytes()] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn canonical_numbers_have_one_spelling() {
        assert_eq!(canonical_decimal(b"0"), Some(0));
        assert_eq!(canonical_decimal(b"10"), Some(10));
        assert_eq!(canonical_decimal(b"00"), None);
        assert_eq!(canonical_decimal(b"01"), None);
    }

    proptest! {
        #[test]
        fn every_number_is_read_back(number: u64) {
            prop_assert_eq!(canonical_decimal(number.to_string().as_bytes()), Some(number));
        }

        #[test]
        fn parsing_never_panics(value: Vec<u8>) {
            let _ = (decimal(&value), canonical_decimal(&value));
        }
    }
}
