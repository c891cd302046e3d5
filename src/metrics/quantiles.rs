//! What share of the events took how long, read out of a histogram of the metrics.
//!
//! The crate that counts shows its buckets in its text format only, so that is what is read here: the same figures as at `/metrics`.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// How many observations took no longer than so many seconds, for each bound, the last of which is infinite.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets(pub Vec<(f64, u64)>);

impl Buckets {
    /// Reads a histogram.
    pub(crate) fn of(histogram: &Histogram) -> Self {
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register("h", "", histogram.clone());
        // Writing to a string fails never.
        let _ = encode(&mut text, &registry);
        Self(text.lines().filter_map(bucket).collect())
    }
}

/// A line such as `h_bucket{le="0.001"} 3`.
fn bucket(line: &str) -> Option<(f64, u64)> {
    let (bound, rest) = line.strip_prefix("h_bucket{le=\"")?.split_once('"')?;
    let bound = match bound {
        "+Inf" => f64::INFINITY,
        bound => bound.parse().ok()?,
    };
    let count = rest.strip_prefix("} ")?.split(' ').next()?;
    Some((bound, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buckets_are_those_of_the_text() {
        let histogram = Histogram::new([0.001, 0.002, 0.25]);
        for seconds in [0.0005, 0.0015, 0.0015, 7.0] {
            histogram.observe(seconds);
        }
        let buckets = [(0.001, 1), (0.002, 3), (0.25, 3), (f64::INFINITY, 4)];
        assert_eq!(Buckets::of(&histogram).0, buckets);
    }
}
