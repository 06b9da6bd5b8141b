//! What one measurement said.

use serde::Serialize;

/// What one measurement said.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Sample {
    /// The scenario's figure, in its unit.
    pub(crate) value: f64,
    /// How many operations were counted.
    pub(crate) operations: u64,
    /// How many bytes were counted, where a scenario counts them.
    pub(crate) bytes: u64,
    /// How long the measurement lasted.
    pub(crate) seconds: f64,
    /// Half of the operations took at most so many microseconds.
    pub(crate) p50_us: f64,
    /// 99 % of them.
    pub(crate) p99_us: f64,
    /// All of them.
    pub(crate) max_us: f64,
    /// The processor time of the server.
    pub(crate) server_cpu_seconds: f64,
    /// The processor time of the load generator.
    pub(crate) load_cpu_seconds: f64,
    /// The server's resident memory at the end.
    pub(crate) server_rss_mib: f64,
    /// The most memory that the server ever had resident.
    pub(crate) server_peak_mib: f64,
    /// What else the scenario has to tell.
    pub(crate) figures: Vec<Figure>,
}

/// A figure beside the main one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// What it is, with its unit.
    pub(crate) name: &'static str,
    /// How much.
    pub(crate) value: f64,
}

impl Figure {
    /// A figure.
    pub(crate) fn new(name: &'static str, value: f64) -> Self {
        Self { name, value }
    }
}

impl Sample {
    /// The operations of a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    /// 10^6 bytes of a second.
    pub(crate) fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// Whether the load generator had less to spare than the server: then the server can do more.
    pub(crate) fn load_was_the_limit(&self) -> bool {
        let busy = self.load_cpu_seconds / self.seconds;
        busy > 0.9 && self.load_cpu_seconds > self.server_cpu_seconds
    }

    /// The server's processor time in microseconds: for one operation; where bytes are counted, for
    /// 10^6 of them, because an operation is then a page of whatever size the server likes.
    pub(crate) fn cpu_micros(&self) -> f64 {
        let amount = match self.bytes {
            0 => self.operations as f64,
            bytes => bytes as f64 / 1e6,
        };
        self.server_cpu_seconds * 1e6 / amount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_told_for_an_operation_or_for_a_megabyte() {
        let sample = Sample {
            operations: 1000,
            seconds: 2.0,
            server_cpu_seconds: 1.0,
            ..Default::default()
        };
        assert_eq!((sample.rate(), sample.cpu_micros()), (500.0, 1000.0));
        assert!(!sample.load_was_the_limit());
        assert!(Sample { load_cpu_seconds: 1.9, ..sample.clone() }.load_was_the_limit());
        let bytes = Sample { bytes: 10_000_000, ..sample };
        assert_eq!((bytes.megabytes(), bytes.cpu_micros()), (5.0, 100_000.0));
    }
}
