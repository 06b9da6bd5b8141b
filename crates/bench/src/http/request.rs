//! Requests, built once as bytes.

use std::io::Write;

/// A request with a `Host`, some headers and, if it has a body, a `Content-Length`.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + body.len());
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a Vec cannot fail.
        let _ = bytes.write_fmt(text);
    };
    line(format_args!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n"));
    for (name, value) in headers {
        line(format_args!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        line(format_args!("content-length: {}\r\n", body.len()));
    }
    line(format_args!("\r\n"));
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bytes_to_send() {
        let expected = "POST /v1/stream/s HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n\
                        content-length: 2\r\n\r\nhi";
        let built = request("POST", "/v1/stream/s", &[("content-type", "text/plain")], b"hi");
        assert_eq!(String::from_utf8(built).unwrap(), expected);
        assert_eq!(request("GET", "/", &[], b""), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    }
}
