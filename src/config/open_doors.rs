//! Warnings of settings that were meant, perhaps, and let in more than is plain.

use super::{Config, DatabaseUrl};

impl Config {
    /// What was asked for, and lets in more than is plain.
    pub(super) fn open_doors(&self) -> impl Iterator<Item = String> {
        let null = self.origins.allow_null().then(|| {
            "FRONTEND_URL: null lets in the sandboxed frames of every site, not only pages of files".to_owned()
        });
        let unchecked = self.database.as_ref().and_then(DatabaseUrl::unchecked_host);
        let unchecked = unchecked.map(|host| {
            format!(
                "DATABASE_URL leads to {host}, and no certificate is checked: whoever is between can read and change \
                 everything; add sslmode=verify-full (with sslrootcert=<file> for a CA of your own)"
            )
        });
        let demo = (self.demo && !self.listen.is_loopback()).then(|| {
            "other machines reach HOST, and with the demo they can write messages: ROWCAST_DEMO=off keeps them from it"
                .to_owned()
        });
        let writes = self.admin.is_some() && self.admin_rules.may_write;
        let actions = (writes && self.admin_rules.token.is_none()).then(|| {
            "ROWCAST_ADMIN_WRITE: whoever is on this machine may emit, disconnect and revoke; ROWCAST_ADMIN_TOKEN keeps others from it"
                .to_owned()
        });
        null.into_iter().chain(unchecked).chain(demo).chain(actions)
    }
}
