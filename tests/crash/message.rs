//! Messages that tell who sent them, so that any one is known wherever it turns up.
//!
//! Bytes: `KEY:padding;`, JSON: `{"k":"KEY","p":"padding"}`. A key holds no colon and no quote.

use rand::Rng;
use rand::rngs::SmallRng;

/// The body of an append, and the bytes that it adds to its stream.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) body: Vec<u8>,
    pub(crate) stored: Vec<u8>,
}

impl Message {
    /// A message, or for a JSON stream perhaps a batch of some.
    pub(crate) fn draw(json: bool, key: &str, rng: &mut SmallRng) -> Self {
        if !json {
            let stored = format!("{key}:{};", padding(rng)).into_bytes();
            return Self { body: stored.clone(), stored };
        }
        let item = |key: &str, rng: &mut SmallRng| {
            format!("{{\"k\":\"{key}\",\"p\":\"{}\"}}", padding(rng))
        };
        if rng.random_bool(0.5) {
            let body = item(key, rng);
            let stored = format!("{body},").into_bytes();
            return Self { body: body.into_bytes(), stored };
        }
        let mut stored = String::new();
        for part in 0..rng.random_range(1..5) {
            let key = if part == 0 { key.to_owned() } else { format!("{key}+{part}") };
            stored += &item(&key, rng);
            stored.push(',');
        }
        let body = format!("[{}]", &stored[..stored.len() - 1]).into_bytes();
        Self { body, stored: stored.into_bytes() }
    }
}

/// Mostly short, now and then longer than a page of the disk, rarely longer than a segment.
fn padding(rng: &mut SmallRng) -> String {
    let length = match rng.random_range(0..1000) {
        0..950 => rng.random_range(0..120),
        950..998 => rng.random_range(120..6_000),
        _ => rng.random_range(6_000..90_000),
    };
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    let first = rng.random_range(0..letters.len());
    (0..length).map(|i| char::from(letters[(first + i) % letters.len()])).collect()
}

/// The key of the message that begins these bytes.
pub(crate) fn key(json: bool, bytes: &[u8]) -> Option<&str> {
    let bytes = if json { bytes.strip_prefix(b"{\"k\":\"")? } else { bytes };
    let end = bytes.iter().position(|byte| *byte == if json { b'"' } else { b':' })?;
    std::str::from_utf8(&bytes[..end]).ok()
}

/// What a page of a stream, or an event, holds in stored form.
pub(crate) fn stored(json: bool, body: &[u8]) -> Vec<u8> {
    if !json {
        return body.to_vec();
    }
    let inner = body.strip_prefix(b"[").and_then(|body| body.strip_suffix(b"]"));
    match inner {
        Some([]) => Vec::new(),
        Some(inner) => [inner, b","].concat(),
        // Will not be found in any stream, and so be reported.
        None => [b"not an array: ", body].concat(),
    }
}
