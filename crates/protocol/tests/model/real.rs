//! The product, driven as a server drives it: decide, fold, keep the records and the messages.

mod fork;

use std::collections::HashMap;

use bytes::Bytes;
use streamkeeper_protocol::stream::{
    Append, AppendDecision, AppendRejection, Create, CreateDecision, CreateRejection, Cut,
    DeleteRejection, Expiry, Origin, Record, StreamId, StreamState, decide_append, decide_create,
    decide_delete, decide_expire, decide_release, decide_truncate,
};
use streamkeeper_protocol::{Batch, ContentType, Timestamp, json};

use crate::command::{Command, End, NAMES, TYPES};
use crate::naive::{Words, words};
use crate::words::{at, id, producer, seq, ttl, typed};

/// The streams as lived, and all that would be on a disk.
#[derive(Default)]
pub(crate) struct Real {
    pub(crate) streams: [Option<StreamState>; NAMES.len()],
    pub(crate) records: HashMap<StreamId, Vec<Record>>,
    messages: HashMap<StreamId, Vec<(u64, Bytes)>>,
    pub(crate) now: i64,
    lives: u64,
}

/// What a command needs to know that is resolved against the model.
pub(crate) struct Resolved {
    pub(crate) anchor: Option<u64>,
    pub(crate) place: Option<(u64, u64)>,
}

fn end(end: End) -> Expiry {
    match end {
        End::Never => Expiry::Never,
        End::Ttl(seconds) => ttl(seconds),
        End::At(millis) => Expiry::At(at(millis)),
    }
}

/// The batch of a body: JSON is sent as an array with needless spaces.
fn batch(content_type: Option<&ContentType>, body: &[u16]) -> Option<Batch> {
    if content_type.is_some_and(ContentType::is_json) {
        return json::frame(format!(" {body:?}\n").as_bytes()).unwrap();
    }
    let text: String = body.iter().map(|number| number.to_string()).collect();
    Batch::one(Bytes::from(text))
}

impl Real {
    fn now(&self) -> Timestamp {
        at(self.now)
    }

    /// Folds a record in, keeps it, and follows up on the end of a fork.
    fn write(&mut self, stream: usize, record: &Record) {
        let before = self.streams[stream].clone();
        StreamState::fold(&mut self.streams[stream], record);
        let state = self.streams[stream].as_ref().or(before.as_ref()).unwrap();
        self.records.entry(state.id).or_default().push(record.clone());
        if let Some(batch) = record.batch() {
            let mut begin = state.tail - batch.size();
            let mut from = 0;
            let log = self.messages.entry(state.id).or_default();
            for end in batch.ends() {
                log.push((begin, batch.payload().slice(from..end as usize)));
                begin += end - from as u64;
                from = end as usize;
            }
        }
        let Some(ended) = before.filter(|_| self.streams[stream].is_none()) else { return };
        if let Some(origin) = ended.origin {
            let source = NAMES.iter().position(|name| *name == origin.source.as_str()).unwrap();
            self.release(source, ended.id);
        }
    }

    fn release(&mut self, source: usize, fork: StreamId) {
        if let Some(record) = decide_release(self.streams[source].as_ref(), fork) {
            self.write(source, &record);
        }
    }

    fn expire(&mut self, stream: usize) -> bool {
        let record = decide_expire(self.streams[stream].as_ref(), self.now());
        if let Some(record) = &record {
            self.write(stream, record);
        }
        record.is_some()
    }

    /// What a reader gets: the messages with their positions, through the lineage.
    pub(crate) fn read(&self, state: &StreamState) -> Vec<(u64, Bytes)> {
        let inherited = state.origin.iter().flat_map(|origin| origin.lineage.iter());
        let segments = inherited.map(|a| (a.id, a.until)).chain([(state.id, state.tail)]);
        let mut read = Vec::new();
        let mut position = 0;
        for (life, until) in segments {
            for (begin, message) in self.messages.get(&life).into_iter().flatten() {
                if *begin < position || *begin >= until {
                    continue;
                }
                let length = message.len().min((until - begin) as usize);
                read.push((*begin, message.slice(..length)));
                position = begin + length as u64;
            }
        }
        read
    }

    pub(crate) fn run(&mut self, command: &Command, resolved: &Resolved) -> Words {
        match command {
            Command::Create { name, content_type, end: asked, closed, body, fork } => {
                self.lives += 1;
                let create = Create {
                    id: id(self.lives),
                    content_type: content_type.map(|kind| typed(TYPES[kind])),
                    expiry: asked.map(end),
                    retention: None,
                    closed: *closed,
                    batch: None,
                    fork: None,
                };
                self.expire(*name);
                match fork {
                    None => {
                        let kind = create.content_type.clone().unwrap_or_default();
                        self.create(*name, Create { batch: batch(Some(&kind), body), ..create })
                    }
                    Some(from) => self.fork(*name, create, body, from, resolved.anchor),
                }
            }
            Command::Append { name, content_type, body, producer: who, seq: given, close } => {
                let content_type = content_type.map(|kind| typed(TYPES[kind]));
                let append = Append {
                    batch: batch(content_type.as_ref(), body),
                    content_type,
                    producer: who.zip(resolved.place).map(|((who, _), (epoch, number))| {
                        producer(["p", "q"][who], epoch, number)
                    }),
                    seq: given.as_deref().map(seq),
                    close: *close,
                };
                self.append(*name, &append)
            }
            Command::Delete { name } => {
                match decide_delete(self.streams[*name].as_ref(), self.now()) {
                    Ok(record) => {
                        self.write(*name, &record);
                        words("deleted")
                    }
                    Err(rejection) => {
                        self.expire(*name);
                        words(match rejection {
                            DeleteRejection::NotFound => "not found",
                            DeleteRejection::Gone => "gone",
                        })
                    }
                }
            }
            Command::Read { name, recorded } => {
                let now = self.now();
                match &mut self.streams[*name] {
                    None => words("not found"),
                    Some(state) if state.soft_deleted => words("gone"),
                    Some(state) if state.is_expired(now) => words("not found"),
                    Some(state) => {
                        state.touch(now);
                        if *recorded {
                            self.write(*name, &Record::Touched { at: now });
                        }
                        words("read")
                    }
                }
            }
            Command::Truncate { name, messages } => {
                let state = self.streams[*name].as_ref();
                let all = state.map(|state| self.read(state)).unwrap_or_default();
                let before = all.get(*messages).map(|(begin, _)| *begin);
                let before = before.or(state.map(|state| state.tail)).unwrap_or(0);
                let own = state.and_then(|state| state.origin.as_ref()).map_or(0, Origin::point);
                let dropped = all.iter().filter(|(begin, _)| (own..before).contains(begin));
                let cut = Cut { before, messages: dropped.count() as u64 };
                if let Some(record) = decide_truncate(state, cut) {
                    self.write(*name, &record);
                }
                words("truncated")
            }
            Command::Sweep { name } => {
                words(if self.expire(*name) { "expired" } else { "lives on" })
            }
            Command::Pass(millis) => {
                self.now += millis;
                words("passed")
            }
        }
    }

    fn create(&mut self, stream: usize, create: Create) -> Words {
        match decide_create(self.streams[stream].as_ref(), &create, self.now()) {
            Ok(CreateDecision::Write(record)) => {
                self.write(stream, &record);
                words("created")
            }
            Ok(CreateDecision::Exists) => words("exists"),
            Err(CreateRejection::Conflict(_)) => words("conflict"),
            Err(CreateRejection::SoftDeleted) => words("taken"),
            Err(CreateRejection::NotGranted) => words("not granted"),
        }
    }

    fn append(&mut self, stream: usize, append: &Append) -> Words {
        let now = self.now();
        let rejection = match decide_append(self.streams[stream].as_ref(), append, now) {
            Ok(AppendDecision::Write(record)) => {
                self.write(stream, &record);
                let tail = self.streams[stream].as_ref().unwrap().tail;
                return format!("written, {tail}");
            }
            Ok(AppendDecision::Duplicate { producer }) => {
                self.streams[stream].as_mut().unwrap().touch(now);
                return format!("duplicate, {} {}", producer.epoch, producer.last_seq);
            }
            Ok(AppendDecision::AlreadyClosed) => {
                self.streams[stream].as_mut().unwrap().touch(now);
                return words("closed already");
            }
            Err(rejection) => rejection,
        };
        self.expire(stream);
        match rejection {
            AppendRejection::NotFound => words("not found"),
            AppendRejection::Gone => words("gone"),
            AppendRejection::Empty => words("empty"),
            AppendRejection::MissingContentType => words("no type"),
            AppendRejection::Closed { next_offset } => {
                format!("closed at {}", next_offset.position())
            }
            AppendRejection::ContentTypeMismatch { .. } => words("other type"),
            AppendRejection::SeqRegression => words("sequence regression"),
            AppendRejection::StaleEpoch { current } => format!("stale, {current}"),
            AppendRejection::EpochNotAtZero => words("epoch not at zero"),
            AppendRejection::SequenceGap { expected, received } => {
                format!("gap, {expected} {received}")
            }
            AppendRejection::Full => words("full"),
        }
    }
}
