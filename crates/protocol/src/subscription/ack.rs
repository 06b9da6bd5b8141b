//! Acks: how a worker moves cursors (PROTOCOL.md sections 7.1 to 7.3).

use super::{AckRequest, Chance, Event, Phase, Release, Tracker};
use crate::{StreamName, Timestamp};

/// Why an ack, a callback or a release is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckRejection {
    /// The wake is over: its lease has expired, it was given back, or another has followed.
    #[error("the wake is over, and its token is fenced")]
    Fenced,
    /// A cursor cannot move there. No cursor has moved.
    #[error("`{stream}`: {reason}")]
    InvalidOffset {
        /// The stream.
        stream: StreamName,
        /// What is wrong.
        reason: InvalidAck,
    },
}

/// Why a cursor cannot move to an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAck {
    /// The stream is not of this subscription.
    #[error("the stream is not linked")]
    NotLinked,
    /// The cursor is further already.
    #[error("the offset lies behind the cursor")]
    BehindCursor,
    /// The stream does not reach so far.
    #[error("the offset lies beyond the stream's tail")]
    BeyondTail,
}

impl Tracker {
    /// A worker tells how far it has come. `token` is the generation that its token was issued for.
    /// Tells whether another wake follows.
    pub fn ack(
        &mut self,
        token: u64,
        request: &AckRequest,
        now: Timestamp,
        chance: Chance,
    ) -> Result<bool, AckRejection> {
        // A lease that has expired holds nothing, whether or not its timer was quick enough.
        self.settle(now, chance);
        self.fence(token, request.generation, &request.wake_id)?;
        for ack in &request.acks {
            self.check(&ack.stream, ack.offset.position()).map_err(|reason| {
                AckRejection::InvalidOffset { stream: ack.stream.clone(), reason }
            })?;
        }
        for ack in &request.acks {
            if !self.is_foreign(&ack.stream) {
                self.advance(&ack.stream, ack.offset.position());
            }
        }
        if request.done {
            self.emit(Event::Released { reason: Release::Done });
            self.settle(now, next(chance));
        } else {
            let expires_at = self.lease_end(now);
            self.emit(Event::Extended { expires_at });
        }
        Ok(request.done && self.state.phase != Phase::Idle)
    }

    fn check(&self, stream: &StreamName, position: u64) -> Result<(), InvalidAck> {
        if self.is_foreign(stream) {
            return Ok(());
        }
        let link = self.state.links.get(stream).ok_or(InvalidAck::NotLinked)?;
        let tail = self.tails.get(stream).filter(|tail| link.life == Some(tail.life));
        if position < link.acked {
            Err(InvalidAck::BehindCursor)
        } else if position > tail.map_or(0, |tail| tail.position) {
            Err(InvalidAck::BeyondTail)
        } else {
            Ok(())
        }
    }

    /// Moves a cursor; never backwards.
    pub(super) fn advance(&mut self, stream: &StreamName, position: u64) {
        let link = self.state.links.get(stream);
        if link.is_some_and(|link| link.acked < position) {
            self.emit(Event::Acked { stream: stream.clone(), position });
            self.compare(stream);
        }
    }

    /// Whether the life of the stream that the wake was told of is over: what the worker has done with
    /// it is no error, and moves nothing.
    fn is_foreign(&self, stream: &StreamName) -> bool {
        match self.state.links.get(stream) {
            Some(link) => link.untold == Some(self.state.generation),
            None => self.state.ended.contains(stream),
        }
    }
}

/// Another chance for the wake that may follow within one decision.
pub(super) fn next(Chance(bits): Chance) -> Chance {
    Chance(bits.rotate_left(64) ^ 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)
}
