//! What the system of streams needs from outside to wake workers: signed deliveries and tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use streamkeeper::{Clock, Timestamp, TokenError, TokenScope, WebhookOutcome, Webhooks};
use tokio::time::timeout;

use crate::delivery::{Answer, Delivery, NoAnswer};
use crate::guard::{self, NoTarget, Resolve, SystemResolver, UrlPolicy, UrlRejection};
use crate::keyring::{Keyring, KeyringError};
use crate::tls::Tls;
use crate::token;

/// How long one delivery may take, from resolving the name to the last byte of the answer.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a delivery may try to connect; and then to agree on TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of an answer are read. `{"done":true}` beyond them is not seen.
pub const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Signs and delivers wakes; issues and verifies tokens.
pub struct SignedWebhooks {
    keyring: Arc<Keyring>,
    policy: UrlPolicy,
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn Resolve>,
    tls: Tls,
}

/// Why there are no webhooks.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be used: {0}")]
pub struct NoTls(#[from] tokio_rustls::rustls::Error);

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Url(#[from] UrlRejection),
    #[error(transparent)]
    Target(#[from] NoTarget),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the receiver answered {0}, and redirects are not followed")]
    Redirect(http::StatusCode),
    #[error("the receiver answered {0}")]
    Status(http::StatusCode),
    #[error("no answer within {DELIVERY_TIMEOUT:?}")]
    Late,
}

/// The part of an answer that matters.
#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    done: bool,
}

impl SignedWebhooks {
    /// Delivers with these keys to what the policy allows, with the machine's resolver and trusted roots.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up.
    pub fn new(keyring: Keyring, policy: UrlPolicy, clock: Arc<dyn Clock>) -> Result<Self, NoTls> {
        let tls = Tls::with_native_roots()?;
        Ok(Self {
            keyring: Arc::new(keyring),
            policy,
            clock,
            resolver: Arc::new(SystemResolver::default()),
            tls,
        })
    }

    /// Resolves names with `resolver` instead of the machine's.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// The keys.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    async fn attempt(&self, url: &str, body: Bytes) -> Result<WebhookOutcome, Failure> {
        self.tend().await;
        let deadline = timeout(DELIVERY_TIMEOUT, self.post(url, body)).await;
        let Answer { status, body } = deadline.map_err(|_| Failure::Late)??;
        match status {
            status if status.is_success() => Ok(outcome(body.as_deref())),
            status if status.is_redirection() => Err(Failure::Redirect(status)),
            status => Err(Failure::Status(status)),
        }
    }

    async fn post(&self, url: &str, body: Bytes) -> Result<Answer, Failure> {
        // Judged anew: the policy may be another one than when the subscription was made.
        let url = self.policy.judge(url)?;
        let addresses = guard::target(&url, &*self.resolver).await?;
        let delivery = Delivery {
            url: &url,
            addresses: &addresses,
            signature: self.keyring.signature(&body, self.clock.now()),
            body,
            connect_timeout: CONNECT_TIMEOUT,
            max_response_bytes: MAX_RESPONSE_BYTES,
        };
        Ok(delivery.send(&self.tls).await?)
    }

    /// Replaces the signing key when its time has come; on another thread, because it writes a file.
    async fn tend(&self) {
        let now = self.clock.now();
        if !self.keyring.is_due(now) {
            return;
        }
        let keyring = Arc::clone(&self.keyring);
        let tended = tokio::task::spawn_blocking(move || keyring.tend(now)).await;
        // The key that is there goes on; the next delivery tries again.
        match tended {
            Ok(Ok(())) => {}
            Ok(Err(KeyringError::Io { path, error })) => {
                let path = path.display();
                tracing::error!(%path, %error, "the webhook signing key cannot be replaced");
            }
            Ok(Err(error)) => tracing::error!(%error, "the webhook signing key cannot be replaced"),
            Err(error) => tracing::error!(%error, "the webhook signing key was not replaced"),
        }
    }
}

#[async_trait]
impl Webhooks for SignedWebhooks {
    fn check_url(&self, url: &str) -> Result<(), String> {
        self.policy.judge(url).map(drop).map_err(|rejection| rejection.to_string())
    }

    async fn deliver(&self, url: &str, body: Bytes) -> WebhookOutcome {
        let outcome = self.attempt(url, body).await;
        outcome.unwrap_or_else(|failure| WebhookOutcome::Failed(failure.to_string()))
    }

    fn issue_token(&self, scope: &TokenScope, expires_at: Timestamp) -> String {
        token::issue(&self.keyring.token_key(), scope, expires_at)
    }

    fn verify_token(&self, token: &str, now: Timestamp) -> Result<TokenScope, TokenError> {
        token::verify(&self.keyring.token_key(), token, now)
    }

    fn kid(&self) -> String {
        self.keyring.kid(self.clock.now())
    }

    fn jwks(&self) -> String {
        self.keyring.jwks(self.clock.now())
    }
}

/// What a 2xx answer says: the work is done, or it goes on and will be called back.
fn outcome(body: Option<&[u8]>) -> WebhookOutcome {
    let done = body.and_then(|body| serde_json::from_slice::<Done>(body).ok());
    match done {
        Some(Done { done: true }) => WebhookOutcome::Done,
        _ => WebhookOutcome::Accepted,
    }
}

impl fmt::Debug for SignedWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedWebhooks").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
