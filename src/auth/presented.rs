//! The token that a client presents: in its CONNECT packet, in a header, or in a cookie; never in the URL, which is logged on its way.
//!
//! The first place that has something decides: a token there which proves nothing is not replaced by another.

use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::verifier::TokenError;

/// A token as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Presented<'a> {
    pub(super) token: &'a str,
    /// Whether a browser added it by itself, whatever page asked.
    pub(super) is_ambient: bool,
}

/// Finds the token. `auth` is what CONNECT said, `cookie` the name of the cookie that may carry a token.
///
/// # Errors
/// There is none, or what is there can't be one.
pub(super) fn presented<'a>(
    headers: &'a HeaderMap,
    auth: Option<&'a Value>,
    cookie: Option<&str>,
) -> Result<Presented<'a>, TokenError> {
    let explicit = |token| Presented {
        token,
        is_ambient: false,
    };
    match auth.and_then(|auth| auth.get("token")) {
        None | Some(Value::Null) => {}
        Some(Value::String(token)) => return Ok(explicit(token)),
        Some(_) => return Err(TokenError::Malformed("auth.token is no text")),
    }
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let text = authorization.to_str().unwrap_or_default();
        let bearer = text
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        // A proxy that looks at one of two may have looked at the other.
        if headers.get_all(header::AUTHORIZATION).iter().count() > 1 {
            return Err(TokenError::Malformed("there are two Authorization headers"));
        }
        let other = TokenError::Malformed("Authorization is not: Bearer, a space, and the token");
        return bearer.map(|(_, token)| explicit(token.trim())).ok_or(other);
    }
    let token = cookie.and_then(|name| cookie_named(headers, name));
    token
        .map(|token| Presented {
            token,
            is_ambient: true,
        })
        .ok_or(TokenError::Missing)
}

/// The value of a cookie (RFC 6265, section 4.2.1); of two with the name, the one for the longer path, which comes first.
fn cookie_named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| found.trim() == name)?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    Some(quoted.unwrap_or(value))
}

/// Whether a request that a browser sends with a cookie comes from a page that is known: it names its origin, which was checked, or
/// the browser says that it is of our own (Fetch Metadata; a page can't write that header).
pub(super) fn names_its_page(headers: &HeaderMap) -> bool {
    let is_same_origin = |headers: &HeaderMap| {
        let site = headers.get("sec-fetch-site");
        site.is_some_and(|site| site == "same-origin")
    };
    headers.contains_key(header::ORIGIN) || is_same_origin(headers)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn found(lines: &[(&'static str, &'static str)], auth: &Value) -> String {
        match presented(&headers(lines), Some(auth), Some("t")) {
            Ok(Presented { token, is_ambient }) => format!("{token} {is_ambient}"),
            Err(error) => error.reason().to_owned(),
        }
    }

    #[test]
    fn the_first_place_that_has_something_decides() {
        let all = [("authorization", "Bearer b"), ("cookie", "t=c")];
        assert_eq!(found(&all, &json!({ "token": "a" })), "a false");
        assert_eq!(found(&all, &json!({ "token": "" })), " false");
        assert_eq!(found(&all, &json!({ "token": null })), "b false");
        assert_eq!(found(&all, &json!("a")), "b false");
        assert_eq!(found(&all, &json!({ "token": ["a"] })), "malformed");
        assert_eq!(found(&all[1..], &json!({})), "c true");
        assert_eq!(found(&[], &json!({})), "no_token");
        let two = [("authorization", "Bearer b"), ("authorization", "Bearer c")];
        assert_eq!(found(&two, &json!({})), "malformed");
        for (header, expected) in [
            ("bearer  b ", "b false"),
            ("Basic YTpi", "malformed"),
            ("Bearer", "malformed"),
            ("b", "malformed"),
        ] {
            let lines = [("authorization", header), ("cookie", "t=c")];
            assert_eq!(found(&lines, &json!({})), expected, "{header}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        for (cookie, expected) in [
            ("t=a; t=b", "a true"),
            ("xt=a;t=b", "b true"),
            ("x=t=a; t=\"b\"", "b true"),
            ("T=a", "no_token"),
            ("t", "no_token"),
            ("t=", " true"),
        ] {
            assert_eq!(
                found(&[("cookie", cookie)], &json!({})),
                expected,
                "{cookie}"
            );
        }
        let headers = headers(&[("cookie", "t=a")]);
        let without = presented(&headers, None, None);
        assert_eq!(without, Err(TokenError::Missing));
    }
}
