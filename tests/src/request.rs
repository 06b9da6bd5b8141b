//! Requests, written as the bytes that go over the wire.

/// A request to be written to a connection.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request with any method and any target, checked by nobody.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: None }
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Adds a header; adding one twice sends it twice.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Adds several headers.
    pub fn headers(self, headers: &[(&str, &str)]) -> Self {
        headers.iter().fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Adds the headers of an idempotent producer.
    pub fn producer(self, id: &str, epoch: u64, seq: u64) -> Self {
        self.header("Producer-Id", id)
            .header("Producer-Epoch", epoch.to_string())
            .header("Producer-Seq", seq.to_string())
    }

    /// Sets the body, which is sent with its `Content-Length`.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The bytes of the whole request.
    pub fn encode(&self) -> Vec<u8> {
        let body = self.body.as_deref();
        let writes = matches!(self.method.as_str(), "PUT" | "POST");
        let length = body.map(<[u8]>::len).or(writes.then_some(0));
        let length = length.map(|length| format!("Content-Length: {length}\r\n"));
        let mut bytes = self.head(&length.unwrap_or_default());
        bytes.extend_from_slice(body.unwrap_or_default());
        bytes
    }

    /// The bytes of the request with its body in chunks (`Transfer-Encoding: chunked`).
    pub fn encode_chunked(&self, chunks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = self.head("Transfer-Encoding: chunked\r\n");
        for chunk in chunks {
            bytes.extend(chunk_of(chunk));
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    /// The bytes of the head, with further header lines as they are.
    pub fn head(&self, more: &str) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            bytes.extend_from_slice(b"Host: streamkeeper.test\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(more.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// One chunk of a chunked body.
pub fn chunk_of(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}
