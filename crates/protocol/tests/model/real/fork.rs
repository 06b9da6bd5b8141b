//! How the product forks a stream.

use streamkeeper_protocol::stream::{
    Create, Fork, ForkGrant, ForkRejection, ForkRequest, InvalidSubOffset, decide_fork,
    resolve_start, resolve_sub_offset,
};
use streamkeeper_protocol::{Offset, ReadFrom};

use super::{Real, batch};
use crate::command::{From, NAMES};
use crate::naive::{Words, words};
use crate::words::{id, name};

impl Real {
    /// As a server does it: confirm, resolve, take the reference, create, and let go if that fails.
    pub(super) fn fork(
        &mut self,
        stream: usize,
        create: Create,
        body: &[u16],
        from: &From,
        anchor: Option<u64>,
    ) -> Words {
        let anchor = anchor.map(Offset::new);
        let mut request = ForkRequest {
            source: name(NAMES[from.source]),
            offset: anchor,
            sub_offset: from.sub_offset,
            granted: None,
        };
        let confirm = Create { fork: Some(request.clone()), ..create.clone() };
        let confirmed = self.create(stream, confirm);
        if confirmed != "not granted" {
            return confirmed;
        }
        let (now, granted) = (self.now(), self.grant(&create, from, anchor));
        let grant = match granted {
            Ok(grant) => grant,
            Err(refusal) => {
                if self.streams[from.source].as_ref().is_some_and(|state| state.is_expired(now)) {
                    self.expire(from.source);
                }
                return refusal;
            }
        };
        self.write(from.source, &grant.record);
        let kind = create.content_type.clone().unwrap_or(grant.config.content_type.clone());
        request.granted = Some((grant.origin, grant.config));
        let fork = create.id;
        let create = Create { batch: batch(Some(&kind), body), fork: Some(request), ..create };
        let created = self.create(stream, create);
        if created != "created" {
            self.release(from.source, fork);
        }
        created
    }

    fn grant(
        &self,
        create: &Create,
        from: &From,
        anchor: Option<Offset>,
    ) -> Result<ForkGrant, Words> {
        let source = self.streams[from.source].as_ref();
        let mut fork = Fork {
            id: create.id,
            source: name(NAMES[from.source]),
            source_id: source.map_or(id(0), |state| state.id),
            content_type: create.content_type.clone(),
            anchor,
            sub_offset: from.sub_offset,
            sub_bytes: 0,
        };
        if let Some(state) = source.filter(|s| !s.soft_deleted && !s.is_expired(self.now())) {
            let begin = anchor.map_or(state.tail, Offset::position);
            resolve_start(ReadFrom::At(Offset::new(begin)), state.earliest, state.tail)
                .map_err(|_| words("before earliest"))?;
            let messages = self.read(state).into_iter();
            let messages = messages.map(|(begin, text)| (begin, begin + text.len() as u64));
            let messages = messages.skip_while(|(_, end)| *end <= begin);
            let is_json = state.config.content_type.is_json();
            let resolved =
                resolve_sub_offset(is_json, Offset::new(begin), from.sub_offset, messages);
            fork.sub_bytes = resolved.map_err(|error| {
                words(match error {
                    InvalidSubOffset::Misaligned => "misaligned",
                    InvalidSubOffset::Overshoot => "overshoot",
                })
            })?;
        }
        decide_fork(source, &fork, self.now()).map_err(|rejection| {
            words(match rejection {
                ForkRejection::SourceNotFound => "no source",
                ForkRejection::SourceDeleted => "source deleted",
                ForkRejection::BeyondTail { .. } => "beyond tail",
                ForkRejection::BeforeEarliest { .. } => "before earliest",
                ForkRejection::ContentTypeMismatch { .. } => "other type",
            })
        })
    }
}
