//! Reading the footers of all filed segments, with all processors.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::StorageError;

use super::slot::Slot;
use super::stream::Stream;
use super::{Filed, Runs};
use crate::codec::Malformed;
use crate::filed::{Cover, entries};

/// What a filed segment tells of a stream.
pub(super) enum Told {
    /// It lived when the segment was written; with what the segment has of it.
    Lives(Arc<Stream>),
    Ended(StreamId),
}

/// Reads the footers, oldest first, and hands on what each tells.
///
/// The disk is read in order and by this thread only; what is read is decoded by several.
pub(super) fn read(
    filed: &mut BTreeMap<Cover, Filed>,
    mut take: impl FnMut(Vec<Told>),
) -> Result<(), StorageError> {
    let width = thread::available_parallelism().map_or(1, NonZero::get);
    let mut filed: Vec<&mut Filed> = filed.values_mut().collect();
    for group in filed.chunks_mut(width) {
        let bodies = group.iter().map(|filed| filed.reader.footer_body());
        let bodies: Vec<Bytes> = bodies.collect::<Result<_, _>>()?;
        let decoded: Vec<_> = thread::scope(|scope| {
            let decode = |(filed, body): (&&mut Filed, Bytes)| {
                let cover = filed.reader.cover;
                scope.spawn(move || decode(cover, &body))
            };
            let threads: Vec<_> = group.iter().zip(bodies).map(decode).collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        for (filed, decoded) in group.iter_mut().zip(decoded) {
            let decoded = decoded.unwrap_or(Err(Malformed("its decoding has panicked")));
            let (told, runs) = decoded.map_err(|error| filed.reader.corrupt(&error.to_string()))?;
            filed.runs = runs;
            take(told);
        }
    }
    Ok(())
}

/// Decodes a footer.
fn decode(cover: Cover, body: &[u8]) -> Result<(Vec<Told>, Runs), Malformed> {
    let mut all = Runs::default();
    let told = entries(body, |id, live| {
        let Some((name, state, runs)) = live else { return Told::Ended(id) };
        all.add(&runs);
        let mut slot = Slot::cold(state);
        slot.filed = runs.into_iter().map(|run| (cover, run)).collect();
        Told::Lives(Stream::new(id, name, &slot))
    })?;
    Ok((told, all))
}
