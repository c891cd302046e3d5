//! Durations, sizes and counts, each within bounds.
//!
//! Guarantees that a parsed quantity is one the server can run with. The bounds are wide: they
//! catch a missing unit or a slip of a digit, not a taste.

use std::time::Duration;

use super::problem::Refusal;

/// The least and the most that a duration may be.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    least: Duration,
    most: Duration,
}

const fn bounds(least: Duration, most: Duration) -> Bounds {
    Bounds { least, most }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

pub(super) const RETENTION: Bounds = bounds(
    Duration::from_secs(1),
    Duration::from_secs(365 * 24 * 60 * 60),
);
pub(super) const POLL: Bounds = bounds(Duration::from_millis(10), HOUR);
pub(super) const DRAIN: Bounds = bounds(Duration::ZERO, HOUR);
pub(super) const POLICY_TIMEOUT: Bounds =
    bounds(Duration::from_millis(10), Duration::from_secs(60));
pub(super) const POLICY_LEASE: Bounds =
    bounds(Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
pub(super) const JWKS_REFRESH: Bounds =
    bounds(Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
pub(super) const TTL: Bounds = bounds(
    Duration::from_secs(1),
    Duration::from_secs(365 * 24 * 60 * 60),
);
/// What browsers take: a year is usual, two are asked for by their lists of hosts.
pub(super) const HSTS: Bounds = bounds(
    Duration::from_secs(1),
    Duration::from_secs(730 * 24 * 60 * 60),
);
pub(super) const LEEWAY: Bounds = bounds(Duration::ZERO, Duration::from_secs(5 * 60));
pub(super) const PATIENCE: Bounds = bounds(Duration::from_secs(1), HOUR);
pub(super) const KEEP_ALIVE: Bounds = bounds(Duration::from_secs(1), HOUR);
pub(super) const ANSWER_TIMEOUT: Bounds = bounds(Duration::from_secs(1), HOUR);
pub(super) const HANDSHAKE_TIMEOUT: Bounds =
    bounds(Duration::from_millis(100), Duration::from_secs(5 * 60));

pub(super) fn duration(text: &str, bounds: Bounds) -> Result<Duration, Refusal> {
    let accepted = || {
        Refusal::accepts(format!(
            "a duration from {} to {} with its unit (ms, s, m, h or d), such as 500ms or 1h 30m",
            short(bounds.least),
            short(bounds.most)
        ))
    };
    let duration = humantime::parse_duration(text).map_err(|_| accepted())?;
    if (bounds.least..=bounds.most).contains(&duration) {
        Ok(duration)
    } else {
        Err(accepted())
    }
}

/// A duration in the largest unit that divides it, since humantime would write a year for 365d.
fn short(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    units
        .iter()
        .find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit))
        .map_or_else(
            || format!("{ms}ms"),
            |(unit, name)| format!("{}{name}", ms / unit),
        )
}

const LEAST_BYTES: usize = 1_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A size in bytes: a number, alone or with B, KB, MB (powers of 1000), KiB, MiB (powers of 1024).
pub(super) fn bytes(text: &str) -> Result<usize, Refusal> {
    parse_bytes(text)
        .filter(|bytes| (LEAST_BYTES..=MOST_BYTES).contains(bytes))
        .ok_or_else(|| {
            Refusal::accepts("a size from 1KB to 16MiB in bytes, KB, MB, KiB or MiB, such as 64KB")
        })
}

const LEAST_STORED: usize = 64_000;
const MOST_STORED: usize = 100_000_000_000;

/// A share of a table in the database.
pub(super) fn stored_bytes(text: &str) -> Result<usize, Refusal> {
    parse_bytes(text)
        .filter(|bytes| (LEAST_STORED..=MOST_STORED).contains(bytes))
        .ok_or_else(|| {
            Refusal::accepts(
                "a size from 64KB to 100000MB in bytes, KB, MB, KiB or MiB, such as 256MB",
            )
        })
}

fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" => 1_024,
        "mb" => 1_000_000,
        "mib" => 1_048_576,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

const MOST_COUNT: u32 = 100_000;

pub(super) fn count<T: TryFrom<u32>>(text: &str) -> Result<T, Refusal> {
    text.parse::<u32>()
        .ok()
        .filter(|count| (1..=MOST_COUNT).contains(count))
        .and_then(|count| T::try_from(count).ok())
        .ok_or_else(|| Refusal::accepts(format!("a whole number from 1 to {MOST_COUNT}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_know_both_kinds_of_units() {
        let sizes = [
            ("1000", 1_000),
            ("2000B", 2_000),
            ("64KB", 64_000),
            ("64 kib", 65_536),
            ("1MB", 1_000_000),
            ("16MiB", 16_777_216),
        ];
        for (text, expected) in sizes {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for bad in [
            "999",
            "17MiB",
            "1GB",
            "1.5MB",
            "-1KB",
            "KB",
            "",
            "99999999999999999999MB",
        ] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_stay_in_bounds() {
        assert_eq!(duration("10ms", POLL), Ok(Duration::from_millis(10)));
        assert_eq!(duration("1h", POLL), Ok(HOUR));
        assert_eq!(duration("1m 30s", POLL), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s", DRAIN), Ok(Duration::ZERO));
        for bad in ["9ms", "61m", "5", "-1s", "abc", "1 parsec"] {
            assert!(duration(bad, POLL).is_err(), "{bad}");
        }
    }

    #[test]
    fn bounds_are_told_in_short() {
        assert_eq!(short(Duration::from_secs(365 * 86_400)), "365d");
        assert_eq!(short(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(short(Duration::ZERO), "0ms");
    }

    #[test]
    fn counts_are_whole_and_positive() {
        assert_eq!(count::<usize>("1"), Ok(1));
        assert_eq!(count::<u32>("100000"), Ok(100_000));
        for bad in ["0", "-1", "1.5", "100001", "many"] {
            assert!(count::<u32>(bad).is_err(), "{bad}");
        }
    }
}
