//! What is counted of the attached tables, by their names, which the operator gave.

use prometheus_client::encoding::EncodeLabelSet;

use super::Metrics;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct SourceLabels {
    source: String,
}

impl Metrics {
    /// How many problems an attached table has.
    pub(crate) fn source_problems(&self, source: &str, count: usize) {
        let labels = SourceLabels {
            source: source.to_owned(),
        };
        self.source_problems
            .get_or_create(&labels)
            .set(count as i64);
    }

    /// A table is not attached any more.
    pub(crate) fn forget_source(&self, source: &str) {
        let labels = SourceLabels {
            source: source.to_owned(),
        };
        self.source_problems.remove(&labels);
    }
}
