//! Base64 with the standard alphabet and padding (RFC 4648), as exports hold bytes.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NONE: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < 64 {
        values[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    values
};

/// Appends bytes in base64.
pub(crate) fn encode(text: &mut String, bytes: &[u8]) {
    text.reserve(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            text.push(match place <= group.len() {
                true => char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]),
                false => '=',
            });
        }
    }
}

/// Reads base64; `None` if it is not what [`encode`] writes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let mut decoded = Vec::with_capacity(bytes.len() / 4 * 3);
    let last = bytes.len() / 4;
    for (at, group) in bytes.chunks(4).enumerate() {
        let padded = if at + 1 == last { padding } else { 0 };
        let mut bits = 0u32;
        for byte in &group[..4 - padded] {
            let value = VALUES[usize::from(*byte)];
            if value == NONE {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * padded;
        let [_, first, second, third] = bits.to_be_bytes();
        let taken = [first, second, third];
        // Bits that no byte takes are zero.
        if taken[3 - padded..].iter().any(|rest| *rest != 0) {
            return None;
        }
        decoded.extend_from_slice(&taken[..3 - padded]);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_vectors_of_the_standard_hold() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut encoded = String::new();
            encode(&mut encoded, bytes.as_bytes());
            assert_eq!(encoded, text);
            assert_eq!(decode(text), Some(bytes.as_bytes().to_vec()));
        }
        for bad in ["Zg=", "Zh==", "Z===", "====", "Zm=v", "Zg==Zg==", "Zm9 "] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_read_as_they_are_written(bytes: Vec<u8>, other in ".*") {
            let mut text = String::new();
            encode(&mut text, &bytes);
            prop_assert_eq!(decode(&text), Some(bytes));
            let _ = decode(&other);
        }
    }
}
