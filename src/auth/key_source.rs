//! Where the keys of tokens are, and how they are read from there.
//!
//! Owns the places: settings, files, and a URL. Says how often each is looked at; `key_keeper` keeps to that.

use std::path::Path;
use std::time::Duration;

use super::jwks_client;
use super::key::{self, BadKey, KeySet, VerifyingKey};
use crate::config::{JwtKeys, Secret, SharedSecret};

/// Between two looks at a file.
const FILE_PAUSE: Duration = Duration::from_secs(2);
/// The least pause between two fetches, or two looks at a file because of an unknown key.
const LEAST_PAUSE: Duration = Duration::from_secs(30);
const LEAST_FILE_PAUSE: Duration = Duration::from_secs(1);

/// A place of keys.
pub(super) struct KeySource(JwtKeys);

impl KeySource {
    pub(super) fn new(keys: &JwtKeys) -> Self {
        Self(keys.clone())
    }

    /// Whether reading the keys may take long.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.0, JwtKeys::JwksUrl { .. })
    }

    /// How long keys are good for before they are read again.
    pub(super) fn pause(&self) -> Duration {
        match self.0 {
            // Servers that began together don't ask together.
            JwtKeys::JwksUrl { refresh, .. } => refresh.mul_f64(rand::random_range(0.9..1.0)),
            _ => FILE_PAUSE,
        }
    }

    /// Keys are not read more often than this, whoever asks.
    pub(super) fn least_pause(&self) -> Duration {
        match self.0 {
            JwtKeys::JwksUrl { refresh, .. } => LEAST_PAUSE
                .min(refresh / 10)
                .max(Duration::from_millis(100)),
            _ => LEAST_FILE_PAUSE,
        }
    }

    /// What the keys are written in, all of it.
    pub(super) async fn read(&self) -> Result<Vec<u8>, String> {
        match &self.0 {
            JwtKeys::JwksUrl { url, .. } => {
                let fetched = jwks_client::fetch(url).await;
                let place = url.host_str().unwrap_or_default();
                fetched.map(|content| content.to_vec()).map_err(|reason| {
                    format!("ROWCAST_JWT_JWKS can't be fetched from {place}: {reason}")
                })
            }
            _ => self.read_files(),
        }
    }

    /// What the settings and files hold, all of it.
    pub(super) fn read_files(&self) -> Result<Vec<u8>, String> {
        match &self.0 {
            JwtKeys::PublicKey(file) => read_file("ROWCAST_JWT_PUBLIC_KEY", file),
            JwtKeys::JwksFile(file) => read_file("ROWCAST_JWT_JWKS", file),
            JwtKeys::Secrets(secrets) => {
                let read: Result<Vec<String>, String> = secrets.iter().map(read_secret).collect();
                Ok(read?.join("\n").into_bytes())
            }
            JwtKeys::JwksUrl { .. } => Ok(Vec::new()),
        }
    }

    /// Whether a key that is unknown may be in the next set.
    pub(super) fn may_have_more(&self) -> bool {
        matches!(self.0, JwtKeys::JwksFile(_) | JwtKeys::JwksUrl { .. })
    }

    /// The keys in what was read. Also says which of a set are left out.
    pub(super) fn parse(&self, content: &[u8]) -> Result<(KeySet, Vec<String>), String> {
        let named = |name: &str, error: BadKey| format!("{name} can't be used: {error}");
        match &self.0 {
            JwtKeys::PublicKey(_) => {
                let keys = key::public_keys(content);
                Ok((
                    keys.map_err(|e| named("ROWCAST_JWT_PUBLIC_KEY", e))?,
                    Vec::new(),
                ))
            }
            JwtKeys::JwksFile(_) | JwtKeys::JwksUrl { .. } => {
                key::jwks(content).map_err(|e| named("ROWCAST_JWT_JWKS", e))
            }
            JwtKeys::Secrets(_) => {
                let secrets = content.split(|byte| *byte == b'\n');
                let keys: Result<Vec<_>, _> = secrets.map(VerifyingKey::secret).collect();
                let keys = keys.map_err(|e| named("ROWCAST_JWT_SECRET", e))?;
                Ok((KeySet(keys), Vec::new()))
            }
        }
    }
}

fn read_file(setting: &str, file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file)
        .map_err(|error| format!("{setting}: {} can't be read: {error}", file.display()))
}

fn read_secret(secret: &SharedSecret) -> Result<String, String> {
    let Some(file) = &secret.file else {
        return Ok(secret.text.expose().to_owned());
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("the secret in {} can't be read: {error}", file.display()))?;
    let secret = Secret::parse(text.trim())
        .map_err(|reason| format!("the secret in {} is too short: {reason}", file.display()))?;
    if secret.expose().contains('\n') {
        return Err(format!(
            "the secret in {} has several lines",
            file.display()
        ));
    }
    Ok(secret.expose().to_owned())
}
