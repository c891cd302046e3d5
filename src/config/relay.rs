//! Where NATS is, by which servers tell each other what was committed: `ROWCAST_RELAY`.
//!
//! Owns a secret, because the address may have a password in it: that leaves by [`RelayUrl::login`] only.

use std::fmt;

use url::{Url, form_urlencoded};

use super::lookup::SettingLookup;
use super::problem::Refusal;

const ACCEPTED: &str = "the address of NATS, such as nats://user:password@10.0.0.5:4222 or tls://nats.example.com, or those of its \
                        servers, comma separated, with one login for all";

/// The servers of one NATS. Prints without its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RelayUrl {
    servers: Vec<Url>,
    login: Option<Login>,
}

/// What NATS asks for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// `nats://token@host`
    Token(String),
    /// `nats://user:password@host`
    User(String, String),
}

/// `None`: each server reads the outbox by itself.
pub(super) fn resolve(read: &mut SettingLookup<'_>) -> Option<RelayUrl> {
    let relay = read.secret("ROWCAST_RELAY", "ROWCAST_RELAY_FILE", RelayUrl::parse);
    relay.map(|(relay, _)| relay)
}

impl RelayUrl {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let (mut servers, mut logins) = (Vec::new(), Vec::new());
        for server in text.split(',') {
            let (server, login) = one(server.trim())?;
            servers.push(server);
            logins.extend(login);
        }
        if logins.windows(2).any(|two| two[0] != two[1]) {
            return Err(refusal("its servers have different logins"));
        }
        let login = logins.pop();
        Ok(Self { servers, login })
    }

    /// The addresses, without a login.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().map(Url::as_str)
    }

    /// What all of them ask for.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

fn one(text: &str) -> Result<(Url, Option<Login>), Refusal> {
    let mut url = Url::parse(text).map_err(|error| refusal(&error.to_string()))?;
    if !matches!(url.scheme(), "nats" | "tls") {
        return Err(refusal("it is no address of NATS"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refusal("it names no host"));
    }
    let has_more =
        !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
    if has_more {
        return Err(refusal("something follows the port"));
    }
    let user = decoded(url.username());
    let login = match url.password().map(decoded) {
        Some(password) => Some(Login::User(user, password)),
        None => (!user.is_empty()).then_some(Login::Token(user)),
    };
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.map_err(|()| refusal("it has no place for a login"))?;
    Ok((url, login))
}

/// A text of a URL without its percent signs.
fn decoded(text: &str) -> String {
    // As in a form, but for what has a meaning there and stands for itself here.
    let form = text
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    let mut pairs = form_urlencoded::parse(form.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

fn refusal(why: &str) -> Refusal {
    Refusal::because(why, ACCEPTED)
}

impl fmt::Debug for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.servers()).finish()
    }
}
