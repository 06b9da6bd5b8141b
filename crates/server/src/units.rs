//! Durations and sizes as people write them: `30s`, `500ms`, `1MiB`, `64KiB`.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use http::Uri;

/// The smallest page: below it, the headers would outweigh the data.
pub(crate) const MIN_PAGE_BYTES: u64 = 1 << 10;

/// The smallest interval: below it, looking would outweigh serving.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The smallest journal segment: below it, beginning a new one would outweigh writing.
pub(crate) const MIN_SEGMENT_BYTES: u64 = 4 << 10;

/// The shortest life of a signing key: below it, keys would pile up in the published set.
pub(crate) const MIN_KEY_LIFETIME: Duration = Duration::from_secs(3600);

/// Parses a duration, such as `500ms`, `30s` or `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}, such as 500ms, 30s or 2m"))
}

/// Parses the time between two looks at something, which must pass at all.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time < MIN_INTERVAL => Err("at least 10ms".into()),
        time => Ok(time),
    }
}

/// Parses how long a signing key is used.
pub(crate) fn key_lifetime(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        life if life < MIN_KEY_LIFETIME => Err(format!("at least {MIN_KEY_LIFETIME:?}")),
        life => Ok(life),
    }
}

/// Parses the beginning of URLs, and drops slashes at its end.
pub(crate) fn public_url(text: &str) -> Result<String, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let scheme = url.scheme_str().is_some_and(|scheme| ["http", "https"].contains(&scheme));
    match scheme && url.query().is_none() {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err("not a URL without a query, such as https://streams.example".to_owned()),
    }
}

/// Parses a number of bytes, such as `4KiB`, `16MiB` or `1000`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let size = ByteSize::from_str(text);
    size.map(|size| size.as_u64()).map_err(|_| "not a size, such as 64KiB, 16MiB or 1000".into())
}

/// Parses a page size.
pub(crate) fn page_bytes(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        size if size < MIN_PAGE_BYTES => Err(format!("a page has at least {MIN_PAGE_BYTES} bytes")),
        size => Ok(size),
    }
}

/// Parses the size of a journal segment, which must hold a few records.
pub(crate) fn segment_bytes(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        size if size < MIN_SEGMENT_BYTES => {
            Err(format!("a segment has at least {MIN_SEGMENT_BYTES} bytes"))
        }
        size => Ok(size),
    }
}

/// Parses a number of bytes that one request may have or many may have together (up to 4 GiB).
pub(crate) fn request_bytes(text: &str) -> Result<usize, String> {
    let size = u32::try_from(bytes(text)?).map_err(|_| "at most 4GiB - 1".to_owned())?;
    usize::try_from(size).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(bytes("4KiB"), Ok(4096));
        assert_eq!(bytes("1000"), Ok(1000));
        assert_eq!(page_bytes("1KiB"), Ok(1024));
        for bad in ["", "x", "-1", "10 parsecs"] {
            assert!(duration(bad).is_err() && bytes(bad).is_err(), "{bad:?}");
        }
        assert_eq!(interval("10ms"), Ok(MIN_INTERVAL));
        assert!(interval("0s").is_err());
        assert!(page_bytes("1023").is_err());
        assert!(request_bytes("4GiB").is_err());
        assert!(key_lifetime("59m").is_err() && key_lifetime("90d").is_ok());
    }

    #[test]
    fn a_public_url_is_absolute() {
        let url = public_url("https://streams.example/deep/");
        assert_eq!(url.as_deref(), Ok("https://streams.example/deep"));
        for bad in
            ["", "streams.example", "/deep", "ftp://a", "https://", "https://a?b", "https://a b"]
        {
            assert!(public_url(bad).is_err(), "{bad:?}");
        }
    }
}
