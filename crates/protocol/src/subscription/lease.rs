//! Who holds the work: claims, releases and fencing (PROTOCOL.md sections 7.2 and 7.3).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AckRejection, Chance, Event, Phase, Release, ReleaseRequest, StreamInfo, Tracker};
use crate::Timestamp;

/// The name of a wake: `w_` and 128 random bits in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WakeId(pub(super) String);

impl WakeId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WakeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a claim is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRejection {
    /// Its workers are woken by webhook.
    #[error("the subscription is delivered by webhook; it cannot be claimed")]
    NotPullWake,
    /// Another worker has it.
    #[error("the subscription is claimed by {current_holder}")]
    AlreadyClaimed {
        /// Who.
        current_holder: String,
        /// The generation of its wake.
        generation: u64,
    },
    /// There is nothing to do.
    #[error("the subscription has no pending work")]
    NoPendingWork,
}

/// The work that a worker has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The wake.
    pub wake_id: WakeId,
    /// Its generation.
    pub generation: u64,
    /// Every linked stream.
    pub streams: Vec<StreamInfo>,
}

impl Tracker {
    /// A worker claims the work, whether it has seen the wake or not.
    pub fn claim(
        &mut self,
        worker: &str,
        now: Timestamp,
        chance: Chance,
    ) -> Result<Grant, ClaimRejection> {
        if self.state.config.is_webhook() {
            return Err(ClaimRejection::NotPullWake);
        }
        self.settle(now, chance);
        match &self.state.phase {
            Phase::Idle => Err(ClaimRejection::NoPendingWork),
            Phase::Leased { holder, .. } => Err(ClaimRejection::AlreadyClaimed {
                current_holder: holder.clone().unwrap_or_default(),
                generation: self.state.generation,
            }),
            Phase::Waking { wake, .. } => {
                let wake_id = wake.id.clone();
                let expires_at = self.lease_end(now);
                self.emit(Event::Claimed { worker: worker.to_owned(), expires_at });
                let generation = self.state.generation;
                Ok(Grant { wake_id, generation, streams: self.streams() })
            }
        }
    }

    /// A worker gives the work back. `token` is the generation that its token was issued for.
    pub fn release(
        &mut self,
        token: u64,
        request: &ReleaseRequest,
        now: Timestamp,
        chance: Chance,
    ) -> Result<(), AckRejection> {
        self.settle(now, chance);
        self.fence(token, request.generation, &request.wake_id)?;
        self.emit(Event::Released { reason: Release::Given });
        self.settle(now, chance);
        Ok(())
    }

    /// Only the current wake may do anything.
    pub(super) fn fence(
        &self,
        token: u64,
        generation: u64,
        wake_id: &str,
    ) -> Result<(), AckRejection> {
        let current = self.state.generation;
        let same_wake = self.state.wake().is_some_and(|wake| wake.id.0 == wake_id);
        match token == current && generation == current && same_wake {
            true => Ok(()),
            false => Err(AckRejection::Fenced),
        }
    }
}
