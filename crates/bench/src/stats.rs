//! Medians, spreads and ratios of the rounds of a comparison.

use serde::Serialize;

/// What several rounds say together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// The middle round, or between the two middle ones.
    pub(crate) median: f64,
    /// The least round.
    pub(crate) min: f64,
    /// The greatest round.
    pub(crate) max: f64,
}

impl Summary {
    /// The summary of some values; `None` if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { median: low.midpoint(high), min, max })
    }

    /// The ratios of values to others of the same rounds. Neighbours in time are compared, so noise
    /// that lasts longer than a round cancels out.
    pub(crate) fn of_ratios(
        values: impl IntoIterator<Item = f64>,
        others: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        Self::of(values.into_iter().zip(others).map(|(value, other)| value / other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let summary = Summary::of([5.0, 1.0, 3.0]);
        assert_eq!(summary, Some(Summary { median: 3.0, min: 1.0, max: 5.0 }));
        assert_eq!(Summary::of([4.0, 1.0, 2.0, 9.0]).map(|summary| summary.median), Some(3.0));
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // The machine was twice as fast in the second round; the ratio was the same.
        let ratios = Summary::of_ratios([10.0, 20.0], [20.0, 40.0]);
        assert_eq!(ratios, Some(Summary { median: 0.5, min: 0.5, max: 0.5 }));
        assert_eq!(Summary::of_ratios([1.0], []), None);
    }
}
