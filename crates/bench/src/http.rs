//! Just enough HTTP/1.1 for a load generator that costs less than what it measures.

mod chunked;
mod connection;
mod head;
mod request;

pub(crate) use chunked::Chunked;
pub(crate) use connection::Connection;
pub(crate) use head::{Framing, Head};
pub(crate) use request::request;
