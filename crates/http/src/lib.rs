//! The Durable Streams protocol over HTTP: an axum Router in front of streamkeeper.
