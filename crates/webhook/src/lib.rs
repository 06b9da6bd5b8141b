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
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{path::Path, sync::Arc};
//! use streamkeeper::{Clock, Streamkeeper, SystemClock};
//! use streamkeeper_webhook::{KeyOptions, Keyring, SignedWebhooks, UrlPolicy};
//!
//! let keys = Keyring::open(Path::new("keys"), KeyOptions::default(), SystemClock.now())?;
//! let webhooks = SignedWebhooks::new(keys, UrlPolicy::default(), Arc::new(SystemClock))?;
//! let keeper = Streamkeeper::builder().webhooks(Arc::new(webhooks)).start().await?;
//! # drop(keeper);
//! # Ok(())
//! # }
//! ```

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
