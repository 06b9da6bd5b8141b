//! Events: what happened to a subscription, in the form in which it is stored.

use serde::{Deserialize, Serialize};

use super::{Config, LinkType, SubscriptionState, WakeId};
use crate::stream::StreamId;
use crate::{StreamName, Timestamp};

/// One thing that happened to a subscription. The events of one decision are stored in one write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The subscription began.
    Created {
        /// Its configuration.
        config: Config,
        /// Where workers that were woken by webhook call back.
        callback_url: Option<String>,
        /// When it happened.
        at: Timestamp,
    },
    /// It was confirmed by somebody who sees the server at another address.
    CallbackMoved {
        /// Where workers call back from now on.
        callback_url: Option<String>,
    },
    /// A stream was linked, or linked in a second way; then the cursor stays.
    Linked {
        /// The stream.
        stream: StreamName,
        /// In which way.
        link_type: LinkType,
        /// Its life; none if there is no such stream yet.
        life: Option<StreamId>,
        /// Where the cursor begins, as a position.
        acked: u64,
    },
    /// One way in which a stream was linked is no more.
    Unlinked {
        /// The stream.
        stream: StreamName,
        /// Which way.
        link_type: LinkType,
    },
    /// A linked stream has begun another life, or its first; its cursor begins anew.
    Began {
        /// The stream.
        stream: StreamName,
        /// The life.
        life: StreamId,
    },
    /// A linked stream is gone. An explicit link stays, and waits for the next life.
    Ended {
        /// The stream.
        stream: StreamName,
    },
    /// There is work: a new wake.
    Woken {
        /// Names the wake.
        wake_id: WakeId,
        /// One more than that of the wake before.
        generation: u64,
        /// A stream that has work.
        stream: StreamName,
    },
    /// A webhook is being called. The lease begins.
    Attempted {
        /// When the lease ends.
        expires_at: Timestamp,
    },
    /// Nobody was woken.
    Failed {
        /// When it is tried again.
        retry_at: Timestamp,
    },
    /// The wake stream, which could not be written before, has the event of the wake.
    Notified,
    /// A webhook has taken the work and will call back.
    Delivered,
    /// A worker has taken the work. The lease begins.
    Claimed {
        /// Who.
        worker: String,
        /// When the lease ends.
        expires_at: Timestamp,
    },
    /// The worker has given a sign of life.
    Extended {
        /// When the lease ends.
        expires_at: Timestamp,
    },
    /// A cursor has moved.
    Acked {
        /// Of this stream.
        stream: StreamName,
        /// To this position.
        position: u64,
    },
    /// The wake is over, and its token with it.
    Released {
        /// Why.
        reason: Release,
    },
    /// All of the above, in one: what comes before it is not needed any more.
    Snapshot {
        /// The state at that point.
        state: Box<SubscriptionState>,
    },
}

/// Why a wake is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// The worker is done.
    Done,
    /// The worker has given the work back.
    Given,
    /// The lease has expired.
    Expired,
    /// The work has gone before anybody took it.
    NoWork,
}
