//! Runs the official Durable Streams suite against the streamkeeper binary.
