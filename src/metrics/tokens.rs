//! What is counted of tokens: who was refused, and how the keys were read.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use super::labels::Values;
use super::{Metrics, ReasonLabels, TlsReload, TlsReloadLabels};
use crate::event::left;

label! {
    /// What became of a look at the keys of tokens.
    KeyRead {
        /// There were other keys than before.
        Changed = "changed",
        /// They were the same.
        Unchanged = "unchanged",
        /// They could not be read, or not be used.
        Failed = "failed",
    } as outcome in KeyReadLabels
}
impl Metrics {
    /// A client or a request was refused, for this reason, which is one of a few words of ours.
    pub(crate) fn refusals(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Shows what is counted by outcome or reason also where nothing was counted yet.
    pub(super) fn show_at_zero(&self) {
        let reason = ReasonLabels {
            reason: left::FORBIDDEN,
        };
        self.rooms_left.get_or_create(&reason).inc_by(0);
        for outcome in KeyRead::ALL.iter().copied() {
            self.key_reads
                .get_or_create(&KeyReadLabels { outcome })
                .inc_by(0);
        }
        for outcome in TlsReload::ALL.iter().copied() {
            self.tls_reloads
                .get_or_create(&TlsReloadLabels { outcome })
                .inc_by(0);
        }
    }

    /// The keys of tokens were read.
    pub(crate) fn key_reads(&self, outcome: KeyRead) {
        self.key_reads
            .get_or_create(&KeyReadLabels { outcome })
            .inc();
    }
}
