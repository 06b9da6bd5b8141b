//! What each stream still has: its messages without a gap, and what it inherits from its ancestors.

use std::collections::BTreeMap;

use streamkeeper_protocol::stream::{StreamId, StreamState};

use super::catalog::Catalog;
use super::fold::{Place, Stream};
use super::report::Finding;

/// Up to where a stream can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The position at which its own messages begin.
    pub(crate) start: u64,
    /// The position of the first gap, or else the tail.
    pub(crate) end: u64,
    /// Whether something that it inherits is lost.
    pub(crate) inherits_gap: bool,
}

/// The position at which a stream's own messages begin that are kept.
pub(crate) fn start(state: &StreamState) -> u64 {
    let point = state.origin.as_ref().map_or(0, |origin| origin.point());
    point.max(state.kept())
}

/// Finds gaps and references that are not mutual; streams that have lost something are told so.
pub(crate) fn judge(catalog: &mut Catalog) -> BTreeMap<StreamId, Kept> {
    let mut kept = BTreeMap::new();
    let mut losses = Vec::new();
    for (id, stream) in &catalog.fold.streams {
        let Some(state) = &stream.state else { continue };
        let start = start(state);
        let bad = catalog.bad.get(id).map_or(&[][..], Vec::as_slice);
        let covered = cover(stream, bad, start);
        let end = covered.end.min(state.tail);
        if end < state.tail {
            losses.push((*id, format!("messages from position {end} on are missing")));
        }
        let mut findings = Vec::new();
        if covered.end > state.tail {
            findings.push(format!("there are messages beyond its tail {}", state.tail));
        }
        findings
            .extend(covered.twice.map(|at| format!("messages at position {at} are there twice")));
        let counted = catalog.counted.get(id).copied().unwrap_or(0) + covered.journaled;
        let whole = state.kept() <= state.origin.as_ref().map_or(0, |origin| origin.point());
        if catalog.deep && whole && end == state.tail && bad.is_empty() && counted != state.messages
        {
            let told = state.messages;
            findings.push(format!("it has {counted} messages, and its state tells of {told}"));
        }
        if let Some(reason) = &stream.marked {
            findings.push(format!("an earlier repair or opening has marked it: {reason}"));
        }
        let label = stream.label(*id);
        let findings = findings.into_iter().map(|what| Finding::of_stream(label.clone(), what));
        catalog.fold.findings.extend(findings);
        kept.insert(*id, Kept { start, end, inherits_gap: false });
    }
    lose(catalog, losses);
    judge_forks(catalog, &mut kept);
    kept
}

fn lose(catalog: &mut Catalog, losses: Vec<(StreamId, String)>) {
    for (id, what) in losses {
        if let Some(stream) = catalog.fold.streams.get_mut(&id) {
            let finding = Finding::of_stream(stream.label(id), what.clone());
            catalog.fold.findings.push(finding);
            stream.lose(what);
        }
    }
}

struct Covered {
    end: u64,
    twice: Option<u64>,
    journaled: u64,
}

fn cover(stream: &Stream, bad: &[(u64, u64)], start: u64) -> Covered {
    let mut covered = Covered { end: start, twice: None, journaled: 0 };
    let mut whole = true;
    for place in &stream.places {
        if let Place::Journal { count, .. } = place {
            covered.journaled += count;
        }
        let (first, end) = place.span();
        if end <= start || !whole {
            continue;
        }
        if first < covered.end && first.max(start) < covered.end {
            covered.twice.get_or_insert(first);
        }
        let in_place = matches!(place, Place::Filed(..));
        let gap = bad.iter().filter(|(from, until)| {
            in_place && *until > covered.end && *from < end && *from >= first
        });
        let gap = gap.map(|(from, _)| *from).min();
        whole = first <= covered.end && gap.is_none();
        if first <= covered.end {
            covered.end = covered.end.max(gap.unwrap_or(end).max(start));
        }
    }
    covered
}

fn judge_forks(catalog: &mut Catalog, kept: &mut BTreeMap<StreamId, Kept>) {
    let mut losses = Vec::new();
    let mut findings = Vec::new();
    for (id, stream) in &catalog.fold.streams {
        let Some(state) = &stream.state else { continue };
        let label = stream.label(*id);
        for fork in state.forks.keys() {
            let held = catalog.stream(*fork);
            let origin = held.and_then(|held| Some((held, held.state.as_ref()?.origin.as_ref())));
            if let Some((held, origin)) = origin
                && origin.is_none_or(|origin| origin.source_id != *id)
            {
                let other = held.label(*fork);
                let what = format!("it holds a reference for `{other}`, which is no fork of it");
                findings.push(Finding::of_stream(label.clone(), what));
            }
        }
        let Some(origin) = &state.origin else { continue };
        let source = catalog.stream(origin.source_id);
        let known = source.and_then(|source| source.state.as_ref());
        if known.is_some_and(|source| !source.forks.contains_key(id)) {
            let what = format!("its source `{}` holds no reference for it", origin.source);
            findings.push(Finding::of_stream(label.clone(), what));
        }
        let mut from = state.earliest;
        for ancestor in origin.lineage.iter() {
            let until = ancestor.until;
            let held = catalog.stream(ancestor.id);
            let whole = match kept.get(&ancestor.id) {
                Some(kept) => from >= until || kept.end >= until,
                None => from >= until || held.is_some_and(|held| held.state.is_none()),
            };
            if !whole {
                let other = held.map_or(ancestor.id.to_string(), |held| held.label(ancestor.id));
                losses.push((*id, format!("what it inherits from `{other}` is not all there")));
            }
            from = from.max(until);
        }
    }
    catalog.fold.findings.extend(findings);
    for (id, _) in &losses {
        if let Some(kept) = kept.get_mut(id) {
            kept.inherits_gap = true;
        }
    }
    lose(catalog, losses);
}
