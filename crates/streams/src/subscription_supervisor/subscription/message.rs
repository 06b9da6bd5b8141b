//! What a subscription's actor understands, and all of it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::subscription::{
    AckRejection, AckRequest, Attempt, ClaimRejection, Config, Description, Grant, Outcome,
    ReleaseRequest,
};
use streamkeeper_storage::StorageError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::super::survey::Survey;
use crate::Unavailable;
use crate::limits::Permit;

/// Where an answer goes.
pub(crate) type Reply<T, R = Infallible> = oneshot::Sender<Result<T, Refusal<R>>>;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum Refusal<R> {
    /// There is no such subscription.
    NotFound,
    /// The protocol refuses.
    Rejected(R),
    Unavailable(Unavailable),
}

/// A message to a subscription's actor.
pub(crate) enum Message {
    /// Somebody asks; the permit is for the place in the mailbox.
    Request(Request, Permit),
    /// A stream has told something.
    News,
    /// A time has come.
    Deadline,
    /// Storage has told the outcome of the commit that is in flight.
    Committed(Result<(), StorageError>),
    /// Where the streams end that were looked up.
    Surveyed(Result<Survey, StorageError>),
    /// The turn of a webhook to be called.
    Turn(OwnedSemaphorePermit),
    /// A webhook was called.
    Called { attempt: Arc<Attempt>, outcome: Outcome },
    /// The event of a wake is in the wake stream, or is not.
    Notified { generation: u64, written: bool },
    /// Whoever wanted to create the subscription has not come.
    GiveUp,
}

/// What is asked of a subscription.
pub(crate) enum Request {
    /// Create it, or confirm that it is as described.
    Create {
        config: Config,
        callback_url: Option<String>,
        reply: Reply<Created, Conflict>,
    },
    Describe {
        reply: Reply<Description>,
    },
    Delete {
        reply: Reply<()>,
    },
    AddStreams {
        streams: BTreeSet<StreamName>,
        reply: Reply<()>,
    },
    RemoveStream {
        stream: StreamName,
        reply: Reply<()>,
    },
    Claim {
        worker: String,
        reply: Reply<Claim, ClaimRejection>,
    },
    Ack {
        token: Token,
        request: AckRequest,
        reply: Reply<bool, Denial>,
    },
    Release {
        token: Token,
        request: ReleaseRequest,
        reply: Reply<(), Denial>,
    },
}

/// A subscription that exists as described.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) fresh: bool,
    pub(crate) description: Description,
}

/// It exists, and not as described.
#[derive(Debug)]
pub(crate) struct Conflict;

/// A claim that holds, and what its token is to say.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) grant: Grant,
    pub(crate) life: StreamId,
    pub(crate) lease_ttl: Duration,
}

/// What a request's token has proved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// `None`: tokens of this system do not tell lives.
    pub(crate) life: Option<StreamId>,
    pub(crate) generation: u64,
    /// Whether it was issued to a webhook.
    pub(crate) webhook: bool,
}

/// Why an ack, a callback or a release is refused.
#[derive(Debug)]
pub(crate) enum Denial {
    /// A callback to a pull-wake subscription, or the other way round.
    WrongDelivery,
    /// The token is of another life.
    TokenInvalid,
    Rejected(AckRejection),
}

impl Request {
    /// Answers without having looked at the request.
    pub(crate) fn turn_away(self, why: &Unavailable) {
        fn tell<T, R>(reply: Reply<T, R>, why: &Unavailable) {
            // Somebody who no longer listens needs no answer.
            let _ = reply.send(Err(Refusal::Unavailable(why.clone())));
        }
        match self {
            Self::Create { reply, .. } => tell(reply, why),
            Self::Describe { reply } => tell(reply, why),
            Self::Delete { reply } => tell(reply, why),
            Self::AddStreams { reply, .. } => tell(reply, why),
            Self::RemoveStream { reply, .. } => tell(reply, why),
            Self::Claim { reply, .. } => tell(reply, why),
            Self::Ack { reply, .. } => tell(reply, why),
            Self::Release { reply, .. } => tell(reply, why),
        }
    }

    /// Answers that there is no such subscription; a creation is given back.
    pub(crate) fn not_found(self) -> Option<Self> {
        fn tell<T, R>(reply: Reply<T, R>) {
            let _ = reply.send(Err(Refusal::NotFound));
        }
        match self {
            Self::Describe { reply } => tell(reply),
            Self::Delete { reply } => tell(reply),
            Self::AddStreams { reply, .. } => tell(reply),
            Self::RemoveStream { reply, .. } => tell(reply),
            Self::Claim { reply, .. } => tell(reply),
            Self::Ack { reply, .. } => tell(reply),
            Self::Release { reply, .. } => tell(reply),
            create @ Self::Create { .. } => return Some(create),
        }
        None
    }
}
