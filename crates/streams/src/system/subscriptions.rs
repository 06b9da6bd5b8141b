//! Subscriptions: durable cursors that wake workers (PROTOCOL.md sections 6 and 7).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::subscription::{
    AckRejection, AckRequest, Acknowledged, ClaimRejection, ClaimRequest, Claimed, Config,
    Delivery, Description, InvalidAck, ReleaseRequest, SubscriptionId,
};

use super::Streamkeeper;
use crate::context::Context;
use crate::subscription_supervisor::FindError;
use crate::subscription_supervisor::subscription::message::{
    Conflict, Denial, Refusal, Reply, Request, Token,
};
use crate::{TokenError, TokenPurpose, TokenScope, Unavailable, Webhooks};

/// How long a token can be used at most. What ends it in practice is its wake.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Streamkeeper {
    /// The subscriptions of this system.
    pub fn subscriptions(&self) -> Subscriptions {
        Subscriptions { context: self.context.clone() }
    }
}

/// The subscriptions of a system. Cheap to clone; every clone is the same.
///
/// Every answer comes when what it tells is durable.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use streamkeeper::protocol::subscription::{
///     Ack, AckRequest, ClaimRequest, Config, SubscriptionId,
/// };
/// use streamkeeper::{ContentType, CreateRequest, StreamName, Streamkeeper};
///
/// let keeper = Streamkeeper::builder().start().await?;
/// let json = || Some(ContentType::parse("application/json").unwrap());
/// let wakes = CreateRequest { content_type: json(), ..Default::default() };
/// keeper.create(&StreamName::new("wakes")?, wakes).await?;
///
/// let id = SubscriptionId::new("workers")?;
/// let config = br#"{"type": "pull-wake", "pattern": "jobs/*", "wake_stream": "wakes"}"#;
/// keeper.subscriptions().create(&id, Config::from_json(config)?, None).await?;
///
/// let job = CreateRequest { content_type: json(), body: "{}".into(), ..Default::default() };
/// keeper.create(&StreamName::new("jobs/1")?, job).await?;
///
/// // A worker that has read of the wake, or just tries.
/// let claim = ClaimRequest { worker: "worker-1".into() };
/// let claimed = keeper.subscriptions().claim(&id, claim).await?;
/// let done = AckRequest {
///     wake_id: claimed.wake_id,
///     generation: claimed.generation,
///     acks: claimed.streams.iter().map(|stream| Ack {
///         stream: stream.path.clone(),
///         offset: streamkeeper::Offset::new(stream.tail),
///     }).collect(),
///     done: true,
/// };
/// assert!(!keeper.subscriptions().ack(&id, &claimed.token, done).await?.next_wake);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Subscriptions {
    context: Arc<Context>,
}

/// A subscription that exists as described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSubscription {
    /// Whether it did not exist before.
    pub fresh: bool,
    /// What is told of it.
    pub description: Description,
}

/// Why a subscription was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateSubscriptionError {
    /// There is one of that id with another configuration.
    #[error("the subscription exists with a different configuration")]
    Conflict,
    /// This system calls no webhooks.
    #[error("webhook subscriptions are not enabled on this server")]
    WebhooksDisabled,
    /// The webhook's URL is not one to call; the text says why.
    #[error("the webhook URL is rejected: {0}")]
    UrlRejected(String),
    /// The subscription cannot be served now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a subscription was not read, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// There is no such subscription.
    #[error("the subscription does not exist")]
    NotFound,
    /// The subscription cannot be served now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a claim does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// There is no such subscription.
    #[error("the subscription does not exist")]
    NotFound,
    /// The protocol refuses.
    #[error(transparent)]
    Rejected(#[from] ClaimRejection),
    /// The subscription cannot be served now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why an ack, a callback or a release does not hold. No cursor has moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// There is no such subscription.
    #[error("the subscription does not exist")]
    NotFound,
    /// A callback to a pull-wake subscription, or an ack or a release to one with a webhook.
    #[error("the subscription is delivered in another way")]
    WrongDelivery,
    /// The token was not issued for this.
    #[error("the token is not valid for this subscription")]
    TokenInvalid,
    /// The token is too old.
    #[error("the token has expired")]
    TokenExpired,
    /// The wake is over.
    #[error("the wake is over, and its token is fenced")]
    Fenced,
    /// A cursor cannot move there.
    #[error("`{stream}`: {reason}")]
    InvalidOffset {
        /// The stream.
        stream: StreamName,
        /// What is wrong.
        reason: InvalidAck,
    },
    /// The subscription cannot be served now. An outcome that is unknown may hold: asking again tells,
    /// for then the wake is fenced or the cursor has moved.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Subscriptions {
    /// Creates a subscription, or confirms that it exists as described (section 6.2). Streams that exist
    /// are linked at their tails.
    ///
    /// `callback_url` is the address of the subscription's callback route as this client sees the server;
    /// a webhook is told it. It may change from one confirmation to the next.
    pub async fn create(
        &self,
        id: &SubscriptionId,
        config: Config,
        callback_url: Option<String>,
    ) -> Result<CreatedSubscription, CreateSubscriptionError> {
        if let Delivery::Webhook { url } = &config.delivery {
            let webhooks = self.webhooks().ok_or(CreateSubscriptionError::WebhooksDisabled)?;
            webhooks.check_url(url).map_err(CreateSubscriptionError::UrlRejected)?;
        }
        let request = |reply| Request::Create {
            config: config.clone(),
            callback_url: callback_url.clone(),
            reply,
        };
        match self.ask(id, true, request).await {
            Ok(created) => {
                let (fresh, description) = (created.fresh, created.description);
                Ok(CreatedSubscription { fresh, description })
            }
            Err(Refusal::Rejected(Conflict)) => Err(CreateSubscriptionError::Conflict),
            Err(Refusal::NotFound) => Err(Unavailable::Restarting.into()),
            Err(Refusal::Unavailable(why)) => Err(why.into()),
        }
    }

    /// What is known of a subscription (section 6.3).
    pub async fn get(&self, id: &SubscriptionId) -> Result<Description, SubscriptionError> {
        Ok(self.ask(id, false, |reply| Request::Describe { reply }).await?)
    }

    /// Deletes a subscription (section 6.3); `false` if there was none. Its workers are fenced.
    pub async fn delete(&self, id: &SubscriptionId) -> Result<bool, SubscriptionError> {
        match self.ask(id, false, |reply| Request::Delete { reply }).await {
            Ok(()) => Ok(true),
            Err(Refusal::NotFound) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Links streams explicitly, those that are not linked yet at their tails (section 6.4).
    pub async fn add_streams(
        &self,
        id: &SubscriptionId,
        streams: BTreeSet<StreamName>,
    ) -> Result<(), SubscriptionError> {
        let request = |reply| Request::AddStreams { streams: streams.clone(), reply };
        Ok(self.ask(id, false, request).await?)
    }

    /// Removes an explicit link, if there is one. A link by the pattern stays (section 6.4).
    pub async fn remove_stream(
        &self,
        id: &SubscriptionId,
        stream: &StreamName,
    ) -> Result<(), SubscriptionError> {
        let request = |reply| Request::RemoveStream { stream: stream.clone(), reply };
        Ok(self.ask(id, false, request).await?)
    }

    /// Claims the work of a pull-wake subscription for a worker (section 7.2).
    pub async fn claim(
        &self,
        id: &SubscriptionId,
        request: ClaimRequest,
    ) -> Result<Claimed, ClaimError> {
        let claim = |reply| Request::Claim { worker: request.worker.clone(), reply };
        let claim = self.ask(id, false, claim).await?;
        let grant = claim.grant;
        let scope = TokenScope {
            subscription: id.clone(),
            life: claim.life,
            generation: grant.generation,
            purpose: TokenPurpose::Claim,
        };
        let wake_id = grant.wake_id.to_string();
        let token = self.issue(&scope, &wake_id);
        let (generation, streams) = (grant.generation, grant.streams);
        Ok(Claimed { wake_id, generation, token, streams, lease_ttl: claim.lease_ttl })
    }

    /// A worker of a pull-wake subscription tells how far it has come, or just that it is alive
    /// (section 7.2).
    pub async fn ack(
        &self,
        id: &SubscriptionId,
        token: &str,
        request: AckRequest,
    ) -> Result<Acknowledged, AckError> {
        self.acknowledge(id, token, request, TokenPurpose::Claim).await
    }

    /// The same, of a worker that was woken by webhook (section 7.1).
    pub async fn callback(
        &self,
        id: &SubscriptionId,
        token: &str,
        request: AckRequest,
    ) -> Result<Acknowledged, AckError> {
        self.acknowledge(id, token, request, TokenPurpose::Callback).await
    }

    /// A worker of a pull-wake subscription gives the work back (section 7.2).
    pub async fn release(
        &self,
        id: &SubscriptionId,
        token: &str,
        request: ReleaseRequest,
    ) -> Result<(), AckError> {
        self.exists(id).await?;
        let token = self.prove(id, token, &request.wake_id, TokenPurpose::Claim)?;
        let release = |reply| Request::Release { token, request: request.clone(), reply };
        Ok(self.ask(id, false, release).await?)
    }

    /// What calls webhooks and signs tokens, if the system was given it.
    pub fn webhooks(&self) -> Option<&Arc<dyn Webhooks>> {
        self.context.subscriptions.webhooks.as_ref()
    }

    async fn acknowledge(
        &self,
        id: &SubscriptionId,
        token: &str,
        request: AckRequest,
        purpose: TokenPurpose,
    ) -> Result<Acknowledged, AckError> {
        self.exists(id).await?;
        let token = self.prove(id, token, &request.wake_id, purpose)?;
        let ack = |reply| Request::Ack { token, request: request.clone(), reply };
        let next_wake = self.ask(id, false, ack).await?;
        Ok(Acknowledged { next_wake })
    }

    /// That a subscription does not exist comes before what is wrong with a token.
    async fn exists(&self, id: &SubscriptionId) -> Result<(), AckError> {
        match self.context.find_subscription(id, false).await {
            Ok(_) => Ok(()),
            Err(FindError::NotFound) => Err(AckError::NotFound),
            Err(FindError::Unavailable(why)) => Err(why.into()),
        }
    }

    /// Without anybody who signs, the wake's id is the proof: it cannot be guessed.
    fn issue(&self, scope: &TokenScope, wake_id: &str) -> String {
        match self.webhooks() {
            Some(webhooks) => {
                let expires_at = self.context.clock.now().plus(TOKEN_LIFETIME);
                webhooks.issue_token(scope, expires_at)
            }
            None => format!("{}.{wake_id}", scope.generation),
        }
    }

    fn prove(
        &self,
        id: &SubscriptionId,
        token: &str,
        wake_id: &str,
        purpose: TokenPurpose,
    ) -> Result<Token, AckError> {
        let webhook = purpose == TokenPurpose::Callback;
        let Some(webhooks) = self.webhooks() else {
            let (generation, proof) = token.split_once('.').ok_or(AckError::TokenInvalid)?;
            let generation = generation.parse().map_err(|_| AckError::TokenInvalid)?;
            return match proof == wake_id {
                true => Ok(Token { life: None, generation, webhook }),
                false => Err(AckError::TokenInvalid),
            };
        };
        let scope = webhooks.verify_token(token, self.context.clock.now());
        let scope = scope.map_err(|error| match error {
            TokenError::Invalid => AckError::TokenInvalid,
            TokenError::Expired => AckError::TokenExpired,
        })?;
        match scope.subscription == *id && scope.purpose == purpose {
            true => Ok(Token { life: Some(scope.life), generation: scope.generation, webhook }),
            false => Err(AckError::TokenInvalid),
        }
    }

    async fn ask<T, R>(
        &self,
        id: &SubscriptionId,
        may_be_absent: bool,
        request: impl Fn(Reply<T, R>) -> Request,
    ) -> Result<T, Refusal<R>> {
        loop {
            let permit = self.context.permit(0).map_err(Refusal::Unavailable)?;
            let found = self.context.find_subscription(id, may_be_absent).await;
            let actor = found.map_err(|error| match error {
                FindError::NotFound => Refusal::NotFound,
                FindError::Unavailable(why) => Refusal::Unavailable(why),
            })?;
            // One that has gone meanwhile is looked up again.
            if let Some(answer) = actor.ask(&request, permit).await {
                return answer;
            }
        }
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriptions").finish_non_exhaustive()
    }
}

impl From<Refusal<std::convert::Infallible>> for SubscriptionError {
    fn from(refusal: Refusal<std::convert::Infallible>) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::Unavailable(why) => Self::Unavailable(why),
            Refusal::Rejected(never) => match never {},
        }
    }
}

impl From<Refusal<ClaimRejection>> for ClaimError {
    fn from(refusal: Refusal<ClaimRejection>) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::Unavailable(why) => Self::Unavailable(why),
            Refusal::Rejected(rejection) => Self::Rejected(rejection),
        }
    }
}

impl From<Refusal<Denial>> for AckError {
    fn from(refusal: Refusal<Denial>) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::Unavailable(why) => Self::Unavailable(why),
            Refusal::Rejected(Denial::WrongDelivery) => Self::WrongDelivery,
            Refusal::Rejected(Denial::TokenInvalid) => Self::TokenInvalid,
            Refusal::Rejected(Denial::Rejected(AckRejection::Fenced)) => Self::Fenced,
            Refusal::Rejected(Denial::Rejected(AckRejection::InvalidOffset { stream, reason })) => {
                Self::InvalidOffset { stream, reason }
            }
        }
    }
}
