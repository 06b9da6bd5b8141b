//! The head of a message: its first line, how its body is framed, and single headers.

use std::io;

use memchr::{memchr, memmem};

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By the last chunk.
    Chunked,
}

/// The head of a response or of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The bytes of the head, empty line included.
    pub(crate) len: usize,
    /// The status of a response; 0 for a request.
    pub(crate) status: u16,
    /// How the body ends. A response without any framing has none here: keep-alive is expected.
    pub(crate) framing: Framing,
}

impl Head {
    /// The head that the bytes begin with; `None` if it is not whole yet.
    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let head = &bytes[..end + 2];
        let (first, mut rest) = split_line(head);
        let status = match first.strip_prefix(b"HTTP/1.1 ") {
            Some(status) => status.get(..3).and_then(decimal).ok_or_else(|| malformed(first))?,
            None => 0,
        };
        let mut framing = Framing::Length(0);
        while !rest.is_empty() {
            let (line, after) = split_line(rest);
            rest = after;
            if let Some(value) = value_of(line, b"content-length") {
                framing = Framing::Length(decimal(value).ok_or_else(|| malformed(line))?);
            } else if let Some(value) = value_of(line, b"transfer-encoding")
                && value.eq_ignore_ascii_case(b"chunked")
            {
                framing = Framing::Chunked;
            }
        }
        let status = status as u16;
        if matches!(status, 204 | 304) {
            framing = Framing::Length(0);
        }
        Ok(Some(Self { len: end + 4, status, framing }))
    }

    /// Whether the status is one of success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The value of a header in the bytes of a head.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let mut rest = head;
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        if let Some(value) = value_of(line, name.as_bytes()) {
            return std::str::from_utf8(value).ok();
        }
        rest = after;
    }
    None
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', bytes) {
        Some(end) => (bytes[..end].trim_ascii_end(), &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn malformed(line: &[u8]) -> io::Error {
    let line = String::from_utf8_lossy(line);
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed head: {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Head> {
        Head::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_response_tells_its_status_and_its_length() {
        let text = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length:  12 \r\n\r\nhello";
        let head = Head { len: text.len() - 5, status: 200, framing: Framing::Length(12) };
        assert_eq!(parse(text), Some(head));
        assert!(head.is_success());
    }

    #[test]
    fn a_response_may_be_chunked() {
        let head = parse("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(head.map(|head| head.framing), Some(Framing::Chunked));
    }

    #[test]
    fn no_content_has_no_body_whatever_it_says() {
        let head = parse("HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n").unwrap();
        assert_eq!((head.status, head.framing), (204, Framing::Length(0)));
    }

    #[test]
    fn a_request_is_framed_alike() {
        let text = "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc";
        let head = Head { len: text.len() - 3, status: 0, framing: Framing::Length(3) };
        assert_eq!(parse(text), Some(head));
    }

    #[test]
    fn half_a_head_is_none_yet_and_junk_is_an_error() {
        assert_eq!(parse("HTTP/1.1 200 OK\r\ncontent-le"), None);
        assert!(Head::parse(b"HTTP/1.1 2x0 OK\r\n\r\n").is_err());
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
    }

    #[test]
    fn a_header_is_found_in_any_case_and_whole() {
        let head = b"HTTP/1.1 200 OK\r\nStream-Next-Offset-X: no\r\nStream-Next-Offset: 7\r\n\r\n";
        assert_eq!(header(head, "stream-next-offset"), Some("7"));
        assert_eq!(header(head, "stream"), None);
    }
}
