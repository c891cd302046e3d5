//! The parameters of a request. Refuses unknown and repeated ones, because a misspelt one that was ignored would change the question.

use std::ops::RangeInclusive;

use axum::http::Uri;

use crate::http_error::Error;

/// The parameters of a request.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Takes a query whose names are all `known`, each once.
    pub(crate) fn parse(uri: &Uri, known: &[&str]) -> Result<Self, Error> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let query = uri.query().unwrap_or_default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                return Err(Error::BadRequest(format!(
                    "unknown parameter {}: {} are accepted",
                    quoted(&name),
                    known.join(", ")
                )));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(Error::BadRequest(format!("{name} is given twice")));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| &**value)
    }

    pub(crate) fn number(
        &self,
        name: &str,
        default: u16,
        range: RangeInclusive<u16>,
    ) -> Result<u16, Error> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text
            .parse()
            .ok()
            .filter(|number| digits && range.contains(number));
        number.ok_or_else(|| {
            Error::BadRequest(format!(
                "{name} must be a whole number from {} to {}, not {}",
                range.start(),
                range.end(),
                quoted(text)
            ))
        })
    }
}

/// A client's own text, quoted and cut, for a message to that client.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(100).collect::<String>())
}
