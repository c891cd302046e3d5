//! When a certificate ends (RFC 5280, section 4.1.2.5), read out of its DER.
//!
//! Reads that one field and checks nothing: whether the rest of the certificate is well-formed is for rustls to say.

use std::time::{Duration, SystemTime};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version, which the first version of certificates does not have.
const VERSION: u8 = 0xa0;

/// The end of a certificate's validity; `None` where it can't be read.
pub(super) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let mut outer = Der(certificate);
    let mut signed = Der(Der(outer.value_of(SEQUENCE)?).value_of(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.value_of(VERSION)?;
    }
    signed.value_of(INTEGER)?;
    // The algorithm of the signature, and the issuer.
    signed.value_of(SEQUENCE)?;
    signed.value_of(SEQUENCE)?;
    let mut validity = Der(signed.value_of(SEQUENCE)?);
    validity.any()?;
    let (kind, text) = validity.any()?;
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let rest = rest.strip_suffix('Z').filter(|rest| rest.len() == 10)?;
    let part = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        part(4)?,
        part(6)?,
        part(8)?
    );
    // A certificate without an end has the year 9999, which humantime knows.
    humantime::parse_rfc3339(&text).ok().filter(|time| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            > Duration::ZERO
    })
}

/// Values of DER (X.690), one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn value_of(&mut self, kind: u8) -> Option<&'a [u8]> {
        let (found, value) = self.any()?;
        (found == kind).then_some(value)
    }

    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&kind, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((kind, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate that has nothing but what is looked at.
    fn certificate(kind: u8, end: &str) -> Vec<u8> {
        let value = |kind: u8, content: &[u8]| {
            let length = u16::try_from(content.len()).expect("short").to_be_bytes();
            [&[kind, 0x82][..], &length, content].concat()
        };
        let begin = value(UTC_TIME, b"200101000000Z");
        let validity = value(SEQUENCE, &[begin, value(kind, end.as_bytes())].concat());
        let fields = [
            value(VERSION, &value(INTEGER, &[2])),
            value(INTEGER, &[1]),
            value(SEQUENCE, b""),
            value(SEQUENCE, b"issuer"),
            validity,
        ];
        value(SEQUENCE, &value(SEQUENCE, &fields.concat()))
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        let ends = |kind, text| {
            let end = not_after(&certificate(kind, text))?;
            Some(humantime::format_rfc3339_seconds(end).to_string())
        };
        let cases = [
            (UTC_TIME, "261231235959Z", Some("2026-12-31T23:59:59Z")),
            (UTC_TIME, "990101000000Z", Some("1999-01-01T00:00:00Z")),
            (
                GENERALIZED_TIME,
                "20510203040506Z",
                Some("2051-02-03T04:05:06Z"),
            ),
            (
                GENERALIZED_TIME,
                "99991231235959Z",
                Some("9999-12-31T23:59:59Z"),
            ),
            (UTC_TIME, "2612312359Z", None),
            (UTC_TIME, "269931235959Z", None),
            (INTEGER, "261231235959Z", None),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(ends(kind, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_cut_short_has_no_end() {
        let whole = certificate(UTC_TIME, "261231235959Z");
        for length in 0..whole.len() {
            assert_eq!(not_after(&whole[..length]), None, "{length} bytes");
        }
    }
}
