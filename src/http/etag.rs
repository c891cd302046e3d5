//! Entity tags of the reads: what is the same as what the client has.
//!
//! Weak ones (RFC 9110, section 8.8.1): the tag covers what was asked, the database and what was found, but not the
//! snapshot that the answer's offset names. A client that is told "not modified" keeps its old offset, so the tag changes
//! several times within the retention as well, and with each crash.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::offset::Epoch;

/// A tag in the making.
pub(crate) struct ETag(Sha256);

impl ETag {
    /// The tag of an answer to `uri` for whoever bears this name: what one identity has says nothing of what another may have.
    pub(crate) fn new(uri: &Uri, identity: &str, epoch: Epoch, retention: Duration) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let span = now.as_millis() / (retention.as_millis() / 4).max(1);
        let mut tag = Self(Sha256::new());
        tag.cover(uri.to_string().as_bytes());
        tag.cover(identity.as_bytes());
        tag.cover(epoch.value.bytes());
        tag.cover(&epoch.crashes.to_be_bytes());
        tag.cover(&span.to_be_bytes());
        tag
    }

    /// The tag of an answer that carries no offset.
    pub(crate) fn of(content: &[u8]) -> HeaderValue {
        let mut tag = Self(Sha256::new());
        tag.cover(content);
        tag.finish()
    }

    /// Adds a part of the content.
    pub(crate) fn cover(&mut self, part: &[u8]) {
        self.0.update(part.len().to_be_bytes());
        self.0.update(part);
    }

    /// As the header has it.
    pub(crate) fn finish(self) -> HeaderValue {
        let digest = URL_SAFE_NO_PAD.encode(&self.0.finalize()[..16]);
        HeaderValue::try_from(format!("W/\"{digest}\"")).expect("base64 is visible ASCII")
    }
}

/// Whether the client has it already, by its If-None-Match (RFC 9110, section 13.1.2: the weak comparison).
pub(crate) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let ours = opaque(tag.to_str().unwrap_or_default());
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || listed(value).any(|theirs| opaque(theirs) == ours))
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The tags of a list; it ends at what is none. A comma may stand inside a tag.
fn listed(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let open = if rest.starts_with("W/") { 3 } else { 1 };
        if !opaque(rest).starts_with('"') {
            return None;
        }
        let end = open + rest[open..].find('"')? + 1;
        let (tag, tail) = rest.split_at(end);
        rest = tail;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_NONE_MATCH, line.parse().expect("a value"));
        }
        is_known(&headers, &HeaderValue::from_static("W/\"a,b\""))
    }

    #[test]
    fn lists_weak_tags_and_the_star_are_understood() {
        for yes in [
            "*",
            " * ",
            "\"a,b\"",
            "W/\"a,b\"",
            "\"x\", W/\"a,b\"",
            "\"x\",,\"a,b\" , \"y\"",
            "\"\",\"a,b\"",
        ] {
            assert!(known(&[yes]), "{yes}");
        }
        assert!(known(&["\"x\"", "\"a,b\""]), "two lines are one list");
        for no in [
            "",
            "\"a\"",
            "a,b",
            "\"a,b",
            "w/\"a,b\"",
            "\"*\"",
            "\"x\", *",
            "W/",
            "\"A,B\"",
            "x \"a,b\"",
        ] {
            assert!(!known(&[no]), "{no}");
        }
        assert!(!known(&[]));
    }

    #[test]
    fn what_was_asked_where_and_found_is_in_the_tag() {
        let tag = |(uri, identity): (&str, &str), value, crashes, parts: &[&str]| {
            let value = crate::offset::EpochKey::of(value);
            let epoch = Epoch { value, crashes };
            let uri = uri.parse().expect("a path");
            let mut tag = ETag::new(&uri, identity, epoch, Duration::from_secs(365 * 24 * 3600));
            parts.iter().for_each(|part| tag.cover(part.as_bytes()));
            tag.finish()
        };
        let one = tag(("/a?b=1", "i"), 1, 0, &["x", "y"]);
        assert_eq!(one, tag(("/a?b=1", "i"), 1, 0, &["x", "y"]));
        for other in [
            tag(("/a?b=2", "i"), 1, 0, &["x", "y"]),
            tag(("/a?b=1", "j"), 1, 0, &["x", "y"]),
            tag(("/a?b=1", "i"), 2, 0, &["x", "y"]),
            tag(("/a?b=1", "i"), 1, 1, &["x", "y"]),
            tag(("/a?b=1", "i"), 1, 0, &["xy"]),
        ] {
            assert_ne!(one, other);
        }
    }
}
