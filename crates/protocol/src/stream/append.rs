//! Append and close (sections 5.2 and 5.3), idempotent producers included (5.2.1).

use super::{ProducerState, Record, StreamState};
use crate::offset::MAX_POSITION;
use crate::{Batch, ContentType, Offset, Producer, StreamSeq, Timestamp};

/// A request to append messages, to close the stream, or both at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The type of the messages; needed whenever there are any.
    pub content_type: Option<ContentType>,
    /// The messages; `None` for a mere closing.
    pub batch: Option<Batch>,
    /// The idempotent producer.
    pub producer: Option<Producer>,
    /// The writer's sequence number, scoped to the stream.
    pub seq: Option<StreamSeq>,
    /// Whether to close the stream in the same step.
    pub close: bool,
}

/// What an append leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendDecision {
    /// Write this record.
    Write(Record),
    /// The producer sent this before; nothing to write.
    Duplicate {
        /// What the stream holds of the producer.
        producer: ProducerState,
    },
    /// A mere closing of a stream that is closed; nothing to write.
    AlreadyClosed,
}

/// Why an append is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendRejection {
    /// There is no such stream.
    #[error("the stream does not exist")]
    NotFound,
    /// The stream was deleted and lives on for its forks.
    #[error("the stream was deleted")]
    Gone,
    /// Neither messages nor a closing.
    #[error("the body is empty, and the request does not close the stream")]
    Empty,
    /// Messages without a type.
    #[error("an append needs a Content-Type")]
    MissingContentType,
    /// The stream is closed for ever.
    #[error("the stream is closed")]
    Closed {
        /// Where it ends.
        next_offset: Offset,
    },
    /// The messages are of another type than the stream.
    #[error("the stream holds {expected}, not {received}")]
    ContentTypeMismatch {
        /// The stream's type.
        expected: ContentType,
        /// The request's type.
        received: ContentType,
    },
    /// `Stream-Seq` did not grow.
    #[error("Stream-Seq must be greater than the last one")]
    SeqRegression,
    /// A later incarnation of the producer has taken over.
    #[error("the producer's epoch is stale; {current} is in force")]
    StaleEpoch {
        /// The epoch in force.
        current: u64,
    },
    /// A new epoch must begin its sequence at zero.
    #[error("a new epoch begins with sequence number 0")]
    EpochNotAtZero,
    /// An earlier batch of the producer is missing.
    #[error("expected the producer's sequence number {expected}, received {received}")]
    SequenceGap {
        /// The next sequence number.
        expected: u64,
        /// The request's sequence number.
        received: u64,
    },
    /// The stream has reached the last offset that has a token.
    #[error("the stream is full")]
    Full,
}

enum ProducerCheck {
    Fresh,
    Duplicate(ProducerState),
}

/// Decides an append.
///
/// Precedence: duplicates and stale epochs of producers, then closure, then the producer's
/// sequence, then the content type, then `Stream-Seq` (section 5.2, error precedence).
pub fn decide_append(
    state: Option<&StreamState>,
    append: &Append,
    now: Timestamp,
) -> Result<AppendDecision, AppendRejection> {
    let state = state.filter(|s| s.soft_deleted || !s.is_expired(now));
    let state = state.ok_or(AppendRejection::NotFound)?;
    if state.soft_deleted {
        return Err(AppendRejection::Gone);
    }
    if append.batch.is_none() && !append.close {
        return Err(AppendRejection::Empty);
    }
    let producer = match &append.producer {
        Some(producer) => check_producer(state, producer),
        None => Ok(ProducerCheck::Fresh),
    };
    match producer {
        Ok(ProducerCheck::Duplicate(producer)) => {
            return Ok(AppendDecision::Duplicate { producer });
        }
        Err(stale @ AppendRejection::StaleEpoch { .. }) => return Err(stale),
        _ => {}
    }
    if state.closed {
        let close_only = append.close && append.batch.is_none() && append.producer.is_none();
        return match close_only {
            true => Ok(AppendDecision::AlreadyClosed),
            false => Err(AppendRejection::Closed { next_offset: state.next_offset() }),
        };
    }
    producer?;
    check_content_type(state, append)?;
    check_seq(state, append)?;
    check_room(state, append)?;
    Ok(AppendDecision::Write(Record::Appended {
        batch: append.batch.clone(),
        producer: append.producer.clone(),
        seq: append.seq.clone(),
        closes: append.close,
        at: now,
    }))
}

fn check_producer(
    state: &StreamState,
    producer: &Producer,
) -> Result<ProducerCheck, AppendRejection> {
    let received = producer.seq;
    let Some(known) = state.producers.get(&producer.id) else {
        return match received {
            0 => Ok(ProducerCheck::Fresh),
            _ => Err(AppendRejection::SequenceGap { expected: 0, received }),
        };
    };
    if producer.epoch < known.epoch {
        return Err(AppendRejection::StaleEpoch { current: known.epoch });
    }
    if producer.epoch > known.epoch {
        return match received {
            0 => Ok(ProducerCheck::Fresh),
            _ => Err(AppendRejection::EpochNotAtZero),
        };
    }
    let expected = known.last_seq + 1;
    if received < expected {
        Ok(ProducerCheck::Duplicate(*known))
    } else if received == expected {
        Ok(ProducerCheck::Fresh)
    } else {
        Err(AppendRejection::SequenceGap { expected, received })
    }
}

fn check_content_type(state: &StreamState, append: &Append) -> Result<(), AppendRejection> {
    if append.batch.is_none() {
        return Ok(());
    }
    let received = append.content_type.as_ref().ok_or(AppendRejection::MissingContentType)?;
    if state.config.content_type.same_essence(received) {
        return Ok(());
    }
    Err(AppendRejection::ContentTypeMismatch {
        expected: state.config.content_type.clone(),
        received: received.clone(),
    })
}

fn check_seq(state: &StreamState, append: &Append) -> Result<(), AppendRejection> {
    match (&state.last_seq, &append.seq) {
        (Some(last), Some(seq)) if seq <= last => Err(AppendRejection::SeqRegression),
        _ => Ok(()),
    }
}

fn check_room(state: &StreamState, append: &Append) -> Result<(), AppendRejection> {
    let size = append.batch.as_ref().map_or(0, Batch::size);
    match state.tail.checked_add(size) {
        Some(tail) if tail < MAX_POSITION => Ok(()),
        _ => Err(AppendRejection::Full),
    }
}
