//! What a token says: its payload, read strictly.
//!
//! Owns the rules that `jsonwebtoken` leaves to its caller: a subject is required that can be revoked, a time of issue must not lie ahead, an issuer is
//! one text, and no member of the payload is given twice, because two readers would then read two tokens.
//! Guarantees that no time is beyond the year 9999, whatever the token says.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Token;

/// The longest subject: a longer one could not be revoked (`migrations/0004_sessions.sql`).
const MAX_SUBJECT_BYTES: usize = 1000;
/// The end of the year 9999, in seconds since 1970.
const LAST_SECOND: i64 = 253_402_300_799;

/// The registered claims (RFC 7519, section 4.1) that are read here. The others are the policy's.
#[derive(Deserialize)]
struct Claims {
    iss: Option<Box<str>>,
    sub: Option<Box<str>>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
}

/// The names of an object's members, each once.
struct OnceNamed;

impl<'de> Deserialize<'de> for OnceNamed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = OnceNamed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object that names each member once")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OnceNamed, A::Error> {
                let mut names = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    map.next_value::<IgnoredAny>()?;
                    if !names.insert(name) {
                        return Err(serde::de::Error::custom("a member is given twice"));
                    }
                }
                Ok(OnceNamed)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Reads the payload of a token whose signature, `exp`, `nbf`, issuer and audience were verified. `now` and `leeway` are seconds.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(payload: Box<RawValue>, now: i64, leeway: i64) -> Result<Token, String> {
    let text = payload.get();
    let _: OnceNamed = serde_json::from_str(text)
        .map_err(|_| "its payload is no object that names each member once".to_owned())?;
    let claims: Claims = serde_json::from_str(text)
        .map_err(|_| "one of iss, sub, exp, nbf and iat is of the wrong type".to_owned())?;
    let subject = claims.sub.filter(|subject| !subject.is_empty());
    let subject = subject.ok_or("it has no sub, which says whom it is about")?;
    if subject.len() > MAX_SUBJECT_BYTES {
        return Err(format!(
            "its sub has {} bytes, of {MAX_SUBJECT_BYTES} that one may have: nobody could revoke it",
            subject.len()
        ));
    }
    if subject.contains('\0') {
        return Err("its sub has the character U+0000: nobody could revoke it".to_owned());
    }
    let expires_at = claims.exp.ok_or("it has no exp")?;
    let ahead = |time: Option<f64>| time.is_some_and(|time| seconds(time) > now + leeway);
    if ahead(claims.nbf) {
        return Err("its nbf lies ahead".to_owned());
    }
    if ahead(claims.iat) {
        return Err("its iat lies ahead: is it in milliseconds, or is a clock wrong?".to_owned());
    }
    // A revocation ends what was issued in its second: half of one more would be a token that lives on.
    let issued_at = claims.iat.map(|time| seconds(time.floor()));
    Ok(Token::new(
        claims.iss,
        subject,
        issued_at,
        seconds(expires_at),
        payload,
    ))
}

/// A NumericDate (RFC 7519, section 2) in whole seconds, within what a calendar has.
fn seconds(date: f64) -> i64 {
    // `as` keeps to the bounds of an i64, and makes 0 of what is no number.
    (date.round() as i64).clamp(0, LAST_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn token(claims: &str) -> Result<Token, String> {
        let payload = RawValue::from_string(claims.to_owned()).expect("JSON");
        read(payload, NOW, 30)
    }

    #[test]
    fn a_token_has_a_subject_and_times_that_a_calendar_has() {
        let token = token(r#"{"sub":"a","iss":"i","exp":1.9e300,"iat":1800000029.6,"x":[1]}"#);
        let token = token.expect("it is good");
        assert_eq!((token.subject(), token.issuer()), ("a", Some("i")));
        assert_eq!(
            (token.expires_at(), token.issued_at()),
            (LAST_SECOND, Some(NOW + 29))
        );
    }

    #[test]
    fn a_subject_is_one_that_can_be_revoked() {
        let of = |subject: &str| token(&format!(r#"{{"exp":1900000000,"sub":"{subject}"}}"#));
        for subject in [
            "x".repeat(1000),
            "é".repeat(500),
            r#"a\n\tb'\"\\"#.to_owned(),
        ] {
            assert!(of(&subject).is_ok(), "{subject}");
        }
        for subject in ["x".repeat(1001), "é".repeat(501), r"a\u0000".to_owned()] {
            let refused = of(&subject).expect_err(&subject);
            assert!(refused.contains("revoke"), "{refused}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for claims in [
            r#"{"exp":1900000000}"#,
            r#"{"exp":1900000000,"sub":""}"#,
            r#"{"exp":1900000000,"sub":null}"#,
            r#"{"exp":1900000000,"sub":7}"#,
            r#"{"exp":1900000000,"sub":["a"]}"#,
            r#"{"sub":"a"}"#,
            r#"{"exp":"1900000000","sub":"a"}"#,
            r#"{"exp":1900000000,"sub":"a","iss":["i"]}"#,
            r#"{"exp":1900000000,"sub":"a","iat":"x"}"#,
            r#"{"exp":1900000000,"sub":"a","iat":1800000031}"#,
            r#"{"exp":1900000000,"sub":"a","nbf":1800000031}"#,
            r#"{"exp":1900000000,"sub":"a","sub":"b"}"#,
            r#"{"exp":1900000000,"sub":"a","exp":1}"#,
            r#"{"exp":1900000000,"sub":"a","rooms":["x"],"rooms":["*"]}"#,
            r#"{"exp":1900000000,"sub":"a","rooms":["x"],"r\u006foms":["*"]}"#,
            r#"["sub"]"#,
            r#""sub""#,
            "null",
        ] {
            assert!(token(claims).is_err(), "{claims}");
        }
    }
}
