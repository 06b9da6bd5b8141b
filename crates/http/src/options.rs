//! What can be configured about the HTTP side.

use std::time::Duration;

/// Options of [`router`](crate::router).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The most bytes of messages in one response, unless one message alone is larger.
    /// Default: 1 MiB.
    pub page_bytes: u64,
    /// How long a long-poll waits for news. Default: 30 s.
    pub long_poll_timeout: Duration,
    /// After how long a server-sent-events connection is ended, so that readers collapse on caches
    /// again (PROTOCOL.md section 10.2). Default: 60 s.
    pub sse_lifetime: Duration,
    /// The largest request body, in bytes. Default: 16 MiB.
    pub max_body_bytes: usize,
    /// How long a request body may stall. Default: 30 s.
    pub body_timeout: Duration,
    /// Who may cache pages of history. Default: everybody.
    pub cache: CacheVisibility,
    /// Whether `X-Forwarded-Proto` and `X-Forwarded-Host` are believed, because a proxy sets them.
    /// Default: no.
    pub trust_forwarded: bool,
    /// The URL that the server has for its clients, without the path at which it is mounted and without
    /// a slash at its end: `https://streams.example`. It begins `Location` and the URLs in subscriptions.
    /// Default: whom the request called, by its `Host`.
    pub public_url: Option<String>,
}

/// Who may cache pages of history (section 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheVisibility {
    /// Shared caches too.
    #[default]
    Public,
    /// Only the reader's own; for streams that not everybody may read.
    Private,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_bytes: 1 << 20,
            long_poll_timeout: Duration::from_secs(30),
            sse_lifetime: Duration::from_secs(60),
            max_body_bytes: 16 << 20,
            body_timeout: Duration::from_secs(30),
            cache: CacheVisibility::Public,
            trust_forwarded: false,
            public_url: None,
        }
    }
}
