//! How the naive model appends.

use super::{Words, World, essence, framed, words};
use crate::command::Place;

impl World {
    pub(super) fn append(
        &mut self,
        name: usize,
        kind: Option<&str>,
        body: &[u16],
        producer: Option<(usize, Place)>,
        seq: Option<&String>,
        close: bool,
    ) -> Words {
        let (now, expired) = (self.now, self.expired(name));
        let Some(stream) = self.streams[name].as_mut().filter(|_| !expired) else {
            return words("not found");
        };
        if stream.soft_deleted {
            return words("gone");
        }
        let messages = framed(kind.unwrap_or(""), body);
        if messages.is_empty() && !close {
            return words("empty");
        }
        let mut late = None;
        if let Some((who, place)) = producer {
            let (epoch, seq) = stream.place(who, place);
            match stream.last_of(who) {
                Some((current, _)) if epoch < current => return format!("stale, {current}"),
                Some((current, last)) if epoch == current && seq <= last => {
                    stream.used_at = now;
                    return format!("duplicate, {current} {last}");
                }
                Some((current, last)) if epoch == current && seq > last + 1 => {
                    late = Some(format!("gap, {} {seq}", last + 1));
                }
                Some((current, _)) if epoch > current && seq != 0 => {
                    late = Some(words("epoch not at zero"));
                }
                None if seq != 0 => late = Some(format!("gap, 0 {seq}")),
                _ => {}
            }
        }
        if stream.closed {
            if messages.is_empty() && producer.is_none() {
                stream.used_at = now;
                return words("closed already");
            }
            return format!("closed at {}", stream.tail());
        }
        if let Some(late) = late {
            return late;
        }
        if !messages.is_empty() {
            match kind {
                None => return words("no type"),
                Some(kind) if essence(kind) != essence(&stream.content_type) => {
                    return words("other type");
                }
                _ => {}
            }
        }
        if let (Some(seq), Some(last)) = (seq, stream.seqs.last())
            && seq.as_bytes() <= last.as_bytes()
        {
            return words("sequence regression");
        }
        if let Some((who, place)) = producer {
            let (epoch, seq) = stream.place(who, place);
            stream.produced.push((who, epoch, seq));
        }
        stream.seqs.extend(seq.cloned());
        stream.messages.extend(messages);
        stream.closed |= close;
        stream.used_at = now;
        format!("written, {}", stream.tail())
    }
}
