//! Which bytes of a file take space: holes do not.

use std::collections::BTreeMap;

/// Ranges of bytes that were written, apart from each other: start to end.
#[derive(Debug, Default, Clone)]
pub(super) struct Extents(BTreeMap<u64, u64>);

impl Extents {
    /// Bytes in all ranges.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    pub(super) fn insert(&mut self, mut start: u64, mut end: u64) {
        if start >= end {
            return;
        }
        // Ranges that touch the new one become part of it.
        while let Some((&before, &until)) = self.0.range(..=end).next_back()
            && until >= start
        {
            self.0.remove(&before);
            start = start.min(before);
            end = end.max(until);
        }
        self.0.insert(start, end);
    }

    /// Leaves only what lies before `length`.
    pub(super) fn cut(&mut self, length: u64) {
        self.0.split_off(&length);
        if let Some(mut last) = self.0.last_entry() {
            let end = last.get_mut();
            *end = length.min(*end);
        }
    }

    /// How many of the first of `length` bytes at `offset` fit when `free` bytes more may be taken.
    pub(super) fn fitting(&self, offset: u64, length: u64, mut free: u64) -> u64 {
        let end = offset + length;
        let mut at = offset;
        let held = self.0.range(..=offset).next_back().into_iter();
        let after = self.0.range(offset + 1..end.max(offset + 1));
        for (&start, &until) in held.chain(after) {
            if until <= at {
                continue;
            }
            let gap = start.saturating_sub(at);
            if gap > free {
                break;
            }
            free -= gap;
            at = until;
        }
        (at + free).min(end) - offset
    }
}

#[cfg(test)]
mod tests {
    use super::Extents;

    #[test]
    fn merges_cuts_and_counts() {
        let mut extents = Extents::default();
        extents.insert(10, 20);
        extents.insert(30, 40);
        assert_eq!(extents.total(), 20);
        assert_eq!(extents.fitting(0, 50, 10), 20);
        assert_eq!(extents.fitting(10, 10, 0), 10);
        assert_eq!(extents.fitting(15, 25, 3), 8);
        assert_eq!(extents.fitting(15, 25, 10), 25);
        assert_eq!(extents.fitting(50, 5, 0), 0);
        extents.insert(20, 30);
        assert_eq!((extents.total(), extents.0.len()), (30, 1));
        extents.cut(15);
        assert_eq!(extents.total(), 5);
        extents.cut(0);
        assert_eq!(extents.total(), 0);
    }
}
