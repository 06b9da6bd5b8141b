//! Webhook delivery: what wakes a worker by an HTTP request (PROTOCOL.md sections 6.5, 7.1 and 12.8 to 12.10).
//!
//! It knows neither the actors that decide when to wake nor the router that takes the callbacks. It
//! has three parts:
//!
//! * [`Keyring`]: the keys that sign deliveries and tokens, kept in a file, replaced in time.
//! * [`UrlPolicy`] and the guard behind it: which URLs, and which addresses behind their names, the
//!   server lets itself be sent to.
//! * [`SignedWebhooks`]: signs a wake and delivers it, once, within bounds. Whether and when to try
//!   again is for its caller to say.

mod delivery;
mod guard;
mod jwt;
mod keyring;
mod tls;
mod token;
mod webhooks;

pub use guard::{Resolve, SystemResolver, UrlPolicy, UrlRejection};
pub use keyring::{KeyOptions, Keyring, KeyringError, PUBLISH_AHEAD, REPLAY_WINDOW};
pub use webhooks::{CONNECT_TIMEOUT, DELIVERY_TIMEOUT, MAX_RESPONSE_BYTES, NoTls, SignedWebhooks};
