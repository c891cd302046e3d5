//! What a witness shows to be let in: tokens of one subject, each made when it is needed.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::issuer::in_seconds;
use super::super::token::token;

/// The tokens of one subject. Clones share them.
#[derive(Clone)]
pub(crate) struct Pass {
    pub(crate) subject: String,
    claims: Value,
    /// How long each is good, in seconds.
    life: i64,
    made: Arc<Mutex<Vec<Made>>>,
}

/// One token.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) token: String,
    /// When it began to be used.
    pub(crate) at: Instant,
    /// Its time of issue and its end, in seconds since 1970.
    pub(crate) issued: i64,
    pub(crate) ends: i64,
}

impl Pass {
    /// A subject with these claims, whose tokens are good for so many seconds.
    pub(crate) fn new(subject: &str, claims: &Value, life: i64) -> Self {
        let pass = Self {
            subject: subject.to_owned(),
            claims: claims.clone(),
            life,
            made: Arc::default(),
        };
        pass.renew();
        pass
    }

    /// The token that it shows now.
    pub(crate) fn token(&self) -> String {
        self.last().token
    }

    /// The last one.
    pub(crate) fn last(&self) -> Made {
        self.all()
            .last()
            .expect("the first is made at once")
            .clone()
    }

    /// Every token so far, the first one first.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.all().clone()
    }

    /// Shows a new one from now on.
    pub(crate) fn renew(&self) -> String {
        let (issued, ends) = (in_seconds(0), in_seconds(self.life));
        let mut claims = self.claims.clone();
        claims["iat"] = json!(issued);
        claims["exp"] = json!(ends);
        let token = token(&self.subject, &claims);
        self.all().push(Made {
            token: token.clone(),
            at: Instant::now(),
            issued,
            ends,
        });
        token
    }

    fn all(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().expect("unpoisoned")
    }
}
