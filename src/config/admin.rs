//! Who may use the admin listener, beside Prometheus: `ROWCAST_ADMIN_TOKEN` and `ROWCAST_ADMIN_WRITE`.

use super::jwt_values::{self, Secret};
use super::lookup::SettingLookup;
use super::{Config, switch};

/// What the admin listener asks for, and allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdminRules {
    /// What whoever calls it has to know, if anything.
    pub token: Option<Secret>,
    /// Whether it may change anything.
    pub may_write: bool,
}

impl AdminRules {
    pub(super) fn resolve(read: &mut SettingLookup<'_>) -> Self {
        let token = jwt_values::secret(read, "ROWCAST_ADMIN_TOKEN", "ROWCAST_ADMIN_TOKEN_FILE");
        Self {
            token: token.map(|token| token.text),
            may_write: read.value("ROWCAST_ADMIN_WRITE", switch),
        }
    }
}

impl Config {
    /// Whether only this machine reaches the admin listener.
    pub(crate) fn admin_is_loopback(&self) -> bool {
        self.admin
            .is_none_or(|admin| admin.ip().to_canonical().is_loopback())
    }
}
