//! The metrics of the relay. Where none is configured they stay at zero.

use prometheus_client::metrics::counter::Counter;

use super::labels::{RelayLabels, RelayRoleLabels, Values as _};
use super::{Metrics, RelayOutcome, RelayRole};

impl Metrics {
    /// A message of the relay was dealt with.
    pub(crate) fn relay(&self, outcome: RelayOutcome) {
        self.relay_count(outcome).inc();
    }

    /// How many messages had this outcome.
    pub(crate) fn relay_count(&self, outcome: RelayOutcome) -> Counter {
        self.relay_messages
            .get_or_create_owned(&RelayLabels { outcome })
    }

    pub(super) fn show_relay_at_zero(&self) {
        for role in RelayRole::ALL.iter().copied() {
            self.relay_role
                .get_or_create(&RelayRoleLabels { role })
                .set(0);
        }
        for outcome in RelayOutcome::ALL.iter().copied() {
            self.relay_count(outcome);
        }
    }

    /// What this server is on the relay.
    pub(crate) fn relay_role(&self, is: RelayRole) {
        for role in RelayRole::ALL.iter().copied() {
            let gauge = self.relay_role.get_or_create(&RelayRoleLabels { role });
            gauge.set((role == is).into());
        }
    }
}
