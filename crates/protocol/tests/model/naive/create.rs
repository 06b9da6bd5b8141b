//! How the naive model creates streams, and copies what forks inherit.

use super::{Naive, Words, World, essence, framed, words};
use crate::command::{End, From};

impl World {
    pub(super) fn create(
        &mut self,
        name: usize,
        mut stream: Naive,
        kind: Option<&str>,
        end: Option<End>,
        body: &[u16],
        fork: Option<&From>,
    ) -> Vec<Words> {
        self.bury(name);
        let anchor = fork.and_then(|from| self.anchored(from));
        if let Some(existing) = &self.streams[name] {
            if existing.soft_deleted {
                return vec![words("taken")];
            }
            // What a fork does not ask for, it inherits; whatever that was, it fits.
            let same_type = match kind {
                Some(kind) => essence(kind) == essence(&existing.content_type),
                None => fork.is_some() || existing.content_type == "application/octet-stream",
            };
            let same_end = match end {
                Some(end) => Some(end) == existing.end,
                None => fork.is_some() || matches!(existing.end, None | Some(End::Never)),
            } || (end == Some(End::Never) && existing.end.is_none());
            let same_origin = match (fork, existing.origin) {
                (None, None) => true,
                (Some(from), Some((source, _, position, sub_offset))) => {
                    from.source == source
                        && from.sub_offset == sub_offset
                        && anchor.is_none_or(|anchor| anchor == position)
                }
                _ => false,
            };
            let same = same_type && same_end && same_origin && existing.closed == stream.closed;
            return vec![words(if same { "exists" } else { "conflict" })];
        }
        stream.content_type = kind.unwrap_or("application/octet-stream").to_owned();
        stream.end = end;
        if let Some(from) = fork {
            if self.expired(from.source) || self.streams[from.source].is_none() {
                self.bury(from.source);
                return vec![words("no source")];
            }
            let refusals = self.inherit(&mut stream, kind, end, from, anchor);
            if !refusals.is_empty() {
                return refusals;
            }
            self.streams[from.source].as_mut().unwrap().forks.push(stream.life);
        }
        let own = framed(&stream.content_type, body);
        stream.messages.extend(own);
        self.streams[name] = Some(stream);
        vec![words("created")]
    }

    /// Copies what a fork inherits, or tells all that stands in the way.
    fn inherit(
        &self,
        stream: &mut Naive,
        kind: Option<&str>,
        end: Option<End>,
        from: &From,
        anchor: Option<u64>,
    ) -> Vec<Words> {
        let source = self.streams[from.source].as_ref().unwrap();
        if source.soft_deleted {
            return vec![words("source deleted")];
        }
        let mut refusals = Vec::new();
        if kind.is_some_and(|kind| essence(kind) != essence(&source.content_type)) {
            refusals.push(words("other type"));
        }
        let position = anchor.unwrap_or(source.tail());
        if position > source.tail() {
            refusals.push(words("beyond tail"));
            refusals.push(words("overshoot"));
        }
        if position < source.position(source.dropped) {
            refusals.push(words("before earliest"));
        }
        let n = (0..=source.messages.len()).find(|n| source.position(*n) == position);
        let (whole, part) = match n {
            None => {
                refusals.push(words("misaligned"));
                (0, 0)
            }
            Some(n) if essence(&source.content_type) == "application/json" => {
                (n + from.sub_offset as usize, 0)
            }
            Some(n) => (n, from.sub_offset as usize),
        };
        let next = source.messages.get(whole).map_or(0, |message| message.len());
        if whole > source.messages.len() || part > next {
            refusals.push(words("overshoot"));
        }
        if !refusals.is_empty() {
            return refusals;
        }
        stream.messages = source.messages[..whole].to_vec();
        if part > 0 {
            stream.messages.push(source.messages[whole][..part].to_owned());
        }
        // What the source has dropped, the fork has not either.
        stream.dropped = source.dropped;
        if kind.is_none() {
            stream.content_type = source.content_type.clone();
        }
        stream.end = end.or(source.end);
        stream.origin = Some((from.source, source.life, position, from.sub_offset));
        vec![]
    }
}
