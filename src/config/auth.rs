//! How clients prove who they are: `ROWCAST_AUTH` and what begins with `ROWCAST_JWT_`.
//!
//! Guarantees that a mode is whole: tokens come with exactly one kind of key, without the demo, and with `FRONTEND_URL` naming
//! its origins where a cookie may carry them; and that a server which other machines reach never asks nobody by accident.
//! Files are named here, and read by whoever uses them, so that they can be
//! read again when they change; only the files of secrets are read here as well, because a secret that is too short is refused.

use std::path::PathBuf;
use std::time::Duration;

use super::jwt_values::{
    JwtKeys, SharedSecret, cookie, jwks, list, mode, pem_file, secret, secret_of_before,
};
use super::listen::Listen;
use super::lookup::SettingLookup;
use super::origins::Origins;
use super::problem::Refusal;
use super::quantity;

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub(crate) enum Auth {
    /// Nobody is asked.
    None,
    /// By a JSON Web Token.
    Jwt(Box<Jwt>),
}

/// Which tokens are accepted.
#[derive(Clone, Debug)]
pub(crate) struct Jwt {
    /// What verifies them.
    pub keys: JwtKeys,
    /// `ROWCAST_JWT_ISSUER`: whose they must be, where that is said.
    pub issuers: Vec<String>,
    /// `ROWCAST_JWT_AUDIENCE`: whom they must be for, where that is said.
    pub audiences: Vec<String>,
    /// `ROWCAST_JWT_LEEWAY`: how far clocks may be apart.
    pub leeway: Duration,
    /// `ROWCAST_JWT_COOKIE`: the cookie that may carry one.
    pub cookie: Option<String>,
}

/// What the settings say one by one.
struct Said {
    is_jwt: Option<bool>,
    secret: Option<SharedSecret>,
    previous: Option<SharedSecret>,
    public_key: Option<PathBuf>,
    jwks: Option<JwtKeys>,
    jwt: Jwt,
}

/// Reads the settings. `is_needed`: the command asks clients who they are, or says what it would answer.
pub(super) fn resolve(
    read: &mut SettingLookup<'_>,
    is_needed: bool,
    listen: &Listen,
    origins: &Origins,
) -> Auth {
    let said = Said::read(read);
    if !is_needed || read.has_problems() {
        return Auth::None;
    }
    match said.is_jwt {
        Some(true) => said.into_jwt(read, origins),
        is_jwt => {
            let key = said.key_name();
            match (is_jwt, key) {
                (None, Some(name)) => read.refuse(
                    "ROWCAST_AUTH",
                    &Refusal::because(
                        format!("{name} is set, and no client is asked for a token"),
                        "jwt, or say none if that is meant",
                    ),
                ),
                (None, None) if !listen.is_loopback() => read.refuse(
                    "HOST",
                    &Refusal::because(
                        "other machines reach it, and no client is asked who it is",
                        "a loopback address such as 127.0.0.1, or say ROWCAST_AUTH=jwt, or ROWCAST_AUTH=none if that is meant",
                    ),
                ),
                _ => {}
            }
            Auth::None
        }
    }
}

impl Said {
    fn read(read: &mut SettingLookup<'_>) -> Self {
        let is_jwt = read.optional("ROWCAST_AUTH", mode);
        let secret = secret(read, "ROWCAST_JWT_SECRET", "ROWCAST_JWT_SECRET_FILE");
        let previous = secret_of_before(read);
        let public_key = read.optional("ROWCAST_JWT_PUBLIC_KEY", pem_file);
        let place = read.optional("ROWCAST_JWT_JWKS", jwks);
        let refresh = read.value("ROWCAST_JWT_JWKS_REFRESH", |text| {
            quantity::duration(text, quantity::JWKS_REFRESH)
        });
        let jwks = place.map(|place| match place {
            JwtKeys::JwksUrl { url, .. } => JwtKeys::JwksUrl { url, refresh },
            file => file,
        });
        let jwt = Jwt {
            keys: JwtKeys::Secrets(Vec::new()),
            issuers: read
                .optional("ROWCAST_JWT_ISSUER", list)
                .unwrap_or_default(),
            audiences: read
                .optional("ROWCAST_JWT_AUDIENCE", list)
                .unwrap_or_default(),
            leeway: read.value("ROWCAST_JWT_LEEWAY", |text| {
                quantity::duration(text, quantity::LEEWAY)
            }),
            cookie: read.optional("ROWCAST_JWT_COOKIE", cookie),
        };
        Self {
            is_jwt,
            secret,
            previous,
            public_key,
            jwks,
            jwt,
        }
    }

    /// The name of a setting that has a key.
    fn key_name(&self) -> Option<&'static str> {
        [
            (self.secret.is_some(), "ROWCAST_JWT_SECRET"),
            (self.public_key.is_some(), "ROWCAST_JWT_PUBLIC_KEY"),
            (self.jwks.is_some(), "ROWCAST_JWT_JWKS"),
        ]
        .into_iter()
        .find_map(|(is_said, name)| is_said.then_some(name))
    }

    fn into_jwt(self, read: &mut SettingLookup<'_>, origins: &Origins) -> Auth {
        let is_jwks = self.jwks.is_some();
        if self.jwt.cookie.is_some() && *origins == Origins::Any {
            read.refuse(
                "FRONTEND_URL",
                &Refusal::because(
                    "with ROWCAST_JWT_COOKIE any page of the web would listen as whoever visits it",
                    "the origins of your pages",
                ),
            );
        }
        if is_jwks && self.jwt.audiences.is_empty() {
            read.refuse(
                "ROWCAST_JWT_AUDIENCE",
                &Refusal::because(
                    "the keys of ROWCAST_JWT_JWKS sign tokens for others as well",
                    "the aud of the tokens that are for this server",
                ),
            );
        }
        let has_previous = self.previous.is_some();
        let secrets = self
            .secret
            .map(|secret| JwtKeys::Secrets([secret].into_iter().chain(self.previous).collect()));
        let is_secret = secrets.is_some();
        let said = [secrets, self.public_key.map(JwtKeys::PublicKey), self.jwks];
        let mut said = said.into_iter().flatten();
        let one_of =
            "exactly one of ROWCAST_JWT_SECRET, ROWCAST_JWT_PUBLIC_KEY and ROWCAST_JWT_JWKS";
        let Some(keys) = said.next() else {
            read.refuse("ROWCAST_AUTH", &Refusal::because("there is no key", one_of));
            return Auth::None;
        };
        if said.next().is_some() {
            let why = "there are keys of two kinds";
            read.refuse("ROWCAST_AUTH", &Refusal::because(why, one_of));
        }
        if has_previous && !is_secret {
            read.refuse(
                "ROWCAST_JWT_SECRET_PREVIOUS",
                &Refusal::because("there is no ROWCAST_JWT_SECRET", "both, or neither"),
            );
        }
        Auth::Jwt(Box::new(Jwt { keys, ..self.jwt }))
    }
}
