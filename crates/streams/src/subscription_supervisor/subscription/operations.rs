//! What a subscription does on each request: decide, and say what the answer will be.

use std::collections::BTreeSet;

use ractor::ActorProcessingErr;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::subscription::{Config, Seen, Tracker};

use super::super::survey::Survey;
use super::message::{Claim, Conflict, Created, Denial, Refusal, Reply, Request, Token};
use super::{Commit, State};
use crate::Unavailable;

/// An answer that is decided and waits to be true.
pub(super) enum Answer {
    /// Nobody asked.
    None,
    /// Gives it, or tells why it did not come true.
    Ready(Box<dyn FnOnce(Result<(), Unavailable>) + Send>),
}

/// What a survey is for.
pub(super) enum Surveying {
    /// The subscription goes on.
    Load,
    /// It begins.
    Create { config: Config, callback_url: Option<String>, reply: Reply<Created, Conflict> },
    /// Streams are added.
    Add { reply: Reply<()> },
}

impl Answer {
    fn new<T: Send + 'static, R: Send + 'static>(
        reply: Reply<T, R>,
        answer: Result<T, Refusal<R>>,
    ) -> Self {
        Self::Ready(Box::new(move |came_true| {
            let answer = came_true.map_err(Refusal::Unavailable).and(answer);
            // Somebody who no longer listens needs none.
            let _ = reply.send(answer);
        }))
    }

    pub(super) fn give(self) {
        if let Self::Ready(answer) = self {
            answer(Ok(()));
        }
    }

    pub(super) fn fail(self, why: &Unavailable) {
        if let Self::Ready(answer) = self {
            answer(Err(why.clone()));
        }
    }
}

impl Surveying {
    pub(super) fn fail(self, why: &Unavailable) {
        let why = why.clone();
        match self {
            Self::Load => {}
            Self::Create { reply, .. } => drop(reply.send(Err(Refusal::Unavailable(why)))),
            Self::Add { reply } => drop(reply.send(Err(Refusal::Unavailable(why)))),
        }
    }
}

impl State {
    pub(super) fn request(&mut self, request: Request) -> Result<(), ActorProcessingErr> {
        match self.tracker {
            Some(_) => self.request_of_existing(request),
            None => match request.not_found() {
                Some(Request::Create { config, callback_url, reply }) => {
                    self.create(config, callback_url, reply);
                    Ok(())
                }
                _ => Ok(()),
            },
        }
    }

    fn request_of_existing(&mut self, request: Request) -> Result<(), ActorProcessingErr> {
        let (now, chance) = (self.context.clock.now(), self.chance());
        let life = self.log.life();
        let Some(tracker) = &mut self.tracker else { return Ok(()) };
        // Nobody is answered out of a lease that has expired.
        tracker.settle(now, chance);
        let chance = self.chance();
        let Some(tracker) = &mut self.tracker else { return Ok(()) };
        let answer = match request {
            Request::Create { config, callback_url, reply } => {
                let same = tracker.confirm(&config, callback_url);
                let created = Created { fresh: false, description: tracker.describe(&self.id) };
                let conflict = Err(Refusal::Rejected(Conflict));
                Answer::new(reply, if same { Ok(created) } else { conflict })
            }
            Request::Describe { reply } => Answer::new(reply, Ok(tracker.describe(&self.id))),
            Request::Delete { reply } => return self.delete(reply),
            Request::AddStreams { streams, reply } => {
                self.add_streams(streams, reply);
                return Ok(());
            }
            Request::RemoveStream { stream, reply } => {
                tracker.remove_stream(&stream);
                Answer::new(reply, Ok(()))
            }
            Request::Claim { worker, reply } => {
                let lease_ttl = tracker.state().config.lease_ttl;
                let grant = tracker.claim(&worker, now, chance);
                let claim = grant.map(|grant| Claim { grant, life, lease_ttl });
                Answer::new(reply, claim.map_err(Refusal::Rejected))
            }
            Request::Ack { token, request, reply } => {
                let may = admit(tracker, token, life);
                let acked = may.and_then(|()| {
                    let acked = tracker.ack(token.generation, &request, now, chance);
                    acked.map_err(Denial::Rejected)
                });
                Answer::new(reply, acked.map_err(Refusal::Rejected))
            }
            Request::Release { token, request, reply } => {
                let may = admit(tracker, token, life);
                let released = may.and_then(|()| {
                    let released = tracker.release(token.generation, &request, now, chance);
                    released.map_err(Denial::Rejected)
                });
                Answer::new(reply, released.map_err(Refusal::Rejected))
            }
        };
        self.decide(answer)
    }

    fn create(
        &mut self,
        config: Config,
        callback_url: Option<String>,
        reply: Reply<Created, Conflict>,
    ) {
        let interests = &self.context.subscriptions.interests;
        self.following.pattern(interests, config.pattern.as_ref());
        self.following.streams(interests, &config.streams);
        let named = config.streams.clone();
        let then = Surveying::Create { config: config.clone(), callback_url, reply };
        self.survey(Some(config), named, then);
    }

    fn add_streams(&mut self, streams: BTreeSet<StreamName>, reply: Reply<()>) {
        self.following.streams(&self.context.subscriptions.interests, &streams);
        self.survey(None, streams, Surveying::Add { reply });
    }

    fn delete(&mut self, reply: Reply<()>) -> Result<(), ActorProcessingErr> {
        let entry = self.log.delete();
        self.commit(entry, Commit::Deletion(Answer::new(reply, Ok(()))))
    }

    /// Goes on with what waited for a survey.
    pub(super) fn go_on(
        &mut self,
        then: Surveying,
        survey: Survey,
    ) -> Result<(), ActorProcessingErr> {
        // What streams have told since is newer than what was looked up.
        self.take_news();
        let answer = match then {
            Surveying::Load => {
                let Some(tracker) = &mut self.tracker else { return Ok(()) };
                for (stream, tail) in survey {
                    if !tracker.has_seen(&stream) {
                        tracker.see(&stream, tail.map_or(Seen::Absent, Seen::At));
                    }
                }
                Answer::None
            }
            Surveying::Create { config, callback_url, reply } => {
                let now = self.context.clock.now();
                let seen = survey.into_iter().filter_map(|(stream, tail)| Some((stream, tail?)));
                let tracker = Tracker::create(config, callback_url, seen, now);
                let description = tracker.describe(&self.id);
                self.tracker = Some(tracker);
                self.take_news();
                tracing::info!(subscription = %self.id, "subscription created");
                Answer::new(reply, Ok(Created { fresh: true, description }))
            }
            Surveying::Add { reply } => {
                let Some(tracker) = &mut self.tracker else { return Ok(()) };
                for (stream, tail) in survey {
                    tracker.add_stream(&stream, tail);
                }
                Answer::new(reply, Ok(()))
            }
        };
        self.decide(answer)
    }
}

/// Whether a token may speak for this subscription at all.
fn admit(tracker: &Tracker, token: Token, life: StreamId) -> Result<(), Denial> {
    if tracker.state().config.is_webhook() != token.webhook {
        return Err(Denial::WrongDelivery);
    }
    match token.life.is_none_or(|of| of == life) {
        true => Ok(()),
        false => Err(Denial::TokenInvalid),
    }
}
