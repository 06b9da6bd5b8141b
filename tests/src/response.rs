//! Responses, and the assertions about them that every test needs.

use std::fmt;

use serde_json::Value;

/// A response as it came over the wire.
#[derive(Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from its chunks.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `Stream-Next-Offset`.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn next_offset(&self) -> String {
        match self.header("stream-next-offset") {
            Some(offset) => offset.to_owned(),
            None => panic!("no Stream-Next-Offset in {self:?}"),
        }
    }

    /// Whether `Stream-Up-To-Date: true` is there.
    pub fn up_to_date(&self) -> bool {
        self.header("stream-up-to-date") == Some("true")
    }

    /// Whether `Stream-Closed: true` is there.
    pub fn closed(&self) -> bool {
        self.header("stream-closed") == Some("true")
    }

    /// `Stream-Cursor` as a number.
    ///
    /// # Panics
    ///
    /// It is there and no number.
    pub fn cursor(&self) -> Option<u64> {
        self.header("stream-cursor").map(|cursor| cursor.parse().expect("a cursor is a number"))
    }

    /// Asserts the status code.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Asserts that this is a problem with a status and a machine code, well formed in every way: the
    /// media type, the members of RFC 9457, and what browsers need.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "expected {code}: {self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).expect("a problem is JSON");
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["status"], u64::from(status), "{self:?}");
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        self.expect_browser_headers()
    }

    /// Asserts the headers that every response carries for browsers.
    #[track_caller]
    pub fn expect_browser_headers(self) -> Self {
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        assert!(self.header("cross-origin-resource-policy").is_some(), "{self:?}");
        assert_eq!(self.header("access-control-allow-origin"), Some("*"), "{self:?}");
        let exposed = self.header("access-control-expose-headers").unwrap_or_default();
        assert!(exposed.to_ascii_lowercase().contains("stream-next-offset"), "{self:?}");
        self
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "HTTP {}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        let shown = &self.body[..self.body.len().min(500)];
        write!(f, "\n{} ({} bytes)", shown.escape_ascii(), self.body.len())
    }
}
