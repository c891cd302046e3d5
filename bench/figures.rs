//! Medians and percentiles, nothing interpolated: every figure is one that was measured.

use std::time::Duration;

/// The middle value; of an even number, the lower middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values = values.into_iter().collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// The median and the 99th percentile of one window, in milliseconds, by nearest rank.
#[derive(Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Latency {
    /// Of no sample there is no figure: both are NaN.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let rank = |percent: usize| {
            let rank = (samples.len() * percent).div_ceil(100).max(1);
            samples
                .get(rank - 1)
                .map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e3)
        };
        Self {
            p50_ms: rank(50),
            p99_ms: rank(99),
        }
    }
}
