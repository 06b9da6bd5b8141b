//! What subscriptions need of the world outside: calling webhooks, and tokens that prove a wake.

use async_trait::async_trait;
use bytes::Bytes;
use streamkeeper_protocol::Timestamp;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::subscription::SubscriptionId;

/// Calls webhooks and signs tokens. Given to [`Builder::webhooks`](crate::Builder::webhooks).
#[async_trait]
pub trait Webhooks: Send + Sync + 'static {
    /// Whether a subscription may name this URL; says why not. Asked once, when it is created.
    fn check_url(&self, url: &str) -> Result<(), String>;

    /// Signs the body (PROTOCOL.md section 7.1) and posts it. Bounded in time and in what it reads; it
    /// is dropped midway if the wake is over before.
    async fn deliver(&self, url: &str, body: Bytes) -> WebhookOutcome;

    /// A bearer token that proves the scope until it expires.
    fn issue_token(&self, scope: &TokenScope, expires_at: Timestamp) -> String;

    /// What a token proves. The scope is compared by the caller.
    fn verify_token(&self, token: &str, now: Timestamp) -> Result<TokenScope, TokenError>;

    /// The id of the key that signs now.
    fn kid(&self) -> String;

    /// The public keys, as a JSON Web Key Set (section 6.5).
    fn jwks(&self) -> String;
}

/// What came of calling a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// It answered `{"done": true}`: it has processed all that it was told of.
    Done,
    /// It answered with another success: it will call back.
    Accepted,
    /// It was not reached, or refused; the text says why, for the log.
    Failed(String),
}

/// What a token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenScope {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its life: another one under the same id begins its generations anew.
    pub life: StreamId,
    /// The generation of the wake.
    pub generation: u64,
    /// What it may be used for.
    pub purpose: TokenPurpose,
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenPurpose {
    /// The callback of a webhook.
    Callback,
    /// The acks and the release of a claim.
    Claim,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was not issued here.
    #[error("the token is not valid")]
    Invalid,
    /// It was, too long ago.
    #[error("the token has expired")]
    Expired,
}
