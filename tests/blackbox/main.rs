//! Black-box tests: what a client sees, over real sockets. One file an idea.
#![allow(clippy::unwrap_used, reason = "in a test, what cannot go on panics")]

mod body_limit;
mod caching;
mod closing;
mod command_line;
mod connections;
mod crashes;
mod deleting;
mod durability;
mod etag;
mod expiry;
mod fan_out;
mod fork_lifecycle;
mod forks;
mod json_fidelity;
mod long_poll;
mod malformed_headers;
mod malformed_http;
mod names;
mod offsets;
mod overload;
mod producers;
mod pull_wake;
mod retention;
mod shutdown;
mod sse_bytes;
mod sse_text;
mod storage_failures;
mod subscription_routes;
mod webhooks;
