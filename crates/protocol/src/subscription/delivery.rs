//! Calling webhooks, and waiting when they cannot be reached (PROTOCOL.md section 7.1).

use std::time::Duration;

use serde_json::json;

use super::ack::next;
use super::{Chance, Delivery, Event, Phase, Release, StreamInfo, SubscriptionId, Tracker, WakeId};
use crate::Timestamp;

/// The wait after the first failure.
const FIRST_RETRY_MILLIS: u64 = 1_000;
/// The longest wait, before jitter.
const LAST_RETRY_MILLIS: u64 = 60_000;

/// How long to wait after so many failures in a row: 1 s doubling to 60 s, a fifth more or less.
pub fn backoff(failures: u32, Chance(bits): Chance) -> Duration {
    let doublings = failures.saturating_sub(1).min(6);
    let millis = (FIRST_RETRY_MILLIS << doublings).min(LAST_RETRY_MILLIS);
    let fifth = millis / 5;
    let jitter = (bits % u128::from(2 * fifth + 1)) as u64;
    Duration::from_millis(millis - fifth + jitter)
}

/// One call of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Where it goes.
    pub url: String,
    /// Where the worker calls back.
    pub callback_url: Option<String>,
    /// The wake.
    pub wake_id: WakeId,
    /// Its generation.
    pub generation: u64,
    /// Every linked stream, and its tail: what is acknowledged if the webhook is done at once.
    pub streams: Vec<StreamInfo>,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The webhook is done with all that it was told of.
    Done,
    /// The webhook has taken the work, and calls back.
    Accepted,
    /// The webhook was not reached, or has refused.
    Failed,
}

impl Attempt {
    /// The body of the request.
    pub fn body(&self, id: &SubscriptionId, token: &str) -> Vec<u8> {
        let streams: Vec<_> = self.streams.iter().map(StreamInfo::to_value).collect();
        let body = json!({
            "subscription_id": id.as_str(),
            "wake_id": self.wake_id.as_str(),
            "generation": self.generation,
            "streams": streams,
            "callback_url": self.callback_url,
            "callback_token": token,
        });
        body.to_string().into_bytes()
    }
}

impl Tracker {
    /// Begins to call the webhook, and with it the lease; `None` if nobody is to be woken.
    pub fn attempt(&mut self, now: Timestamp) -> Option<Attempt> {
        let (Phase::Waking { wake, .. }, Delivery::Webhook { url }) =
            (&self.state.phase, &self.state.config.delivery)
        else {
            return None;
        };
        let (url, wake_id) = (url.clone(), wake.id.clone());
        self.emit(Event::Attempted { expires_at: self.lease_end(now) });
        Some(Attempt {
            url,
            callback_url: self.state.callback_url.clone(),
            wake_id,
            generation: self.state.generation,
            streams: self.streams(),
        })
    }

    /// Takes in what came of a call. One whose wake is over moves nothing.
    pub fn delivered(
        &mut self,
        attempt: &Attempt,
        outcome: Outcome,
        now: Timestamp,
        chance: Chance,
    ) {
        self.settle(now, chance);
        let current = self.state.wake().is_some_and(|wake| wake.id == attempt.wake_id);
        let calling = matches!(self.state.phase, Phase::Waking { lease: Some(_), .. });
        match outcome {
            _ if !current => {}
            Outcome::Done => {
                for told in &attempt.streams {
                    let link = self.state.links.get(&told.path);
                    if link.is_some_and(|link| link.life.is_some() && link.life == told.life) {
                        self.advance(&told.path, told.tail);
                    }
                }
                self.emit(Event::Released { reason: Release::Done });
                self.settle(now, next(chance));
            }
            Outcome::Accepted if calling => self.emit(Event::Delivered),
            Outcome::Failed if calling => self.fail(now, chance),
            // It has called back meanwhile.
            Outcome::Accepted | Outcome::Failed => {}
        }
    }

    /// Takes in whether the event of a wake is in the wake stream.
    pub fn notified(&mut self, generation: u64, written: bool, now: Timestamp, chance: Chance) {
        let waking = matches!(self.state.phase, Phase::Waking { .. });
        match written {
            _ if !waking || self.state.generation != generation => {}
            true if self.state.failures == 0 => {}
            true => self.emit(Event::Notified),
            false => self.fail(now, chance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wait_doubles_from_one_second_to_sixty() {
        let waits: Vec<u64> = (1..=9)
            .map(|failures| {
                let fifth = FIRST_RETRY_MILLIS << (failures - 1u32).min(6);
                backoff(failures, Chance(u128::from(fifth.min(LAST_RETRY_MILLIS) / 5))).as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    proptest! {
        #[test]
        fn jitter_is_a_fifth(failures in any::<u32>(), bits in any::<u128>()) {
            let wait = backoff(failures, Chance(bits));
            prop_assert!(wait >= Duration::from_millis(800) && wait <= Duration::from_secs(72));
        }
    }
}
