//! The connections to the database, by what they are for.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;

use super::Metrics;

/// What is known of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolFigures {
    /// What its connections are for, in one word.
    pub pool: &'static str,
    /// Connections that somebody has.
    pub used: u32,
    /// Connections that are open, and nobody has.
    pub idle: u32,
    /// How many there may be.
    pub most: u32,
    /// How often somebody waited for one in vain, since the start.
    pub timeouts: u64,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct PoolLabels {
    pool: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct PoolStateLabels {
    pool: &'static str,
    state: &'static str,
}

impl Metrics {
    /// Publishes what is known of a pool.
    pub(crate) fn pool(&self, figures: PoolFigures) {
        let pool = figures.pool;
        for (state, count) in [("used", figures.used), ("idle", figures.idle)] {
            self.database_connections
                .get_or_create(&PoolStateLabels { pool, state })
                .set(count.into());
        }
        let labels = PoolLabels { pool };
        self.database_connections_most
            .get_or_create(&labels)
            .set(figures.most.into());
        let timeouts = self.database_timeouts.get_or_create(&labels);
        timeouts.inner().store(figures.timeouts, Ordering::Relaxed);
    }
}
