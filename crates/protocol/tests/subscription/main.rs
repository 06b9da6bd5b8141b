//! Subscriptions against a naive model of what their users are promised (PROTOCOL.md sections 6 and 7).

mod model;
mod random;
mod stories;
