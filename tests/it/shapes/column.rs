//! A column as it may be drawn: its type, its name, its values, and what an attach says of it.

/// How a value should look in JSON.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// As `to_jsonb` has it.
    Json,
    Text,
    Instant,
    Local,
    Texts,
}
use Form::{Instant, Json, Local, Text, Texts};

/// A type, how its values should look, and some of them as SQL.
pub(super) const KINDS: [(&str, Form, &[&str]); 22] = [
    ("int", Json, &["0", "1", "2", "-7"]),
    ("smallint", Json, &["0", "1", "4"]),
    (
        "bigint",
        Text,
        &["0", "1", "844197938335842305", "-9007199254740993"],
    ),
    ("numeric", Text, &["1.10", "1e30", "'NaN'", "-0.000001"]),
    ("cash", Text, &["2.5", "0", "1234567890.12"]),
    ("big", Text, &["9007199254740993", "5"]),
    ("float8", Json, &["0.1::float8 + 0.2", "1e300", "-1.5"]),
    ("real", Json, &["0.1", "3"]),
    (
        "text",
        Json,
        &["''", "'a b'", "E'q\"\\\\ \\u2028 \\n'", "'{row}'", "'x:y'"],
    ),
    ("varchar(20)", Json, &["'short'", "'0'"]),
    ("boolean", Json, &["true", "false"]),
    ("uuid", Json, &["'00000000-0000-0000-0000-000000000001'"]),
    (
        "timestamptz",
        Instant,
        &[
            "'2026-01-02 03:04:05.678901+02'",
            "'2026-01-02 03:04:05+00'",
            "'infinity'",
            "'1999-12-31 23:59:59.5-08'",
        ],
    ),
    (
        "moment",
        Instant,
        &["'2026-01-02 03:04:05.67+02'", "'-infinity'"],
    ),
    (
        "timestamp",
        Local,
        &[
            "'2026-01-02 03:04:05.678901'",
            "'2026-07-02 03:04:05'",
            "'infinity'",
        ],
    ),
    ("date", Json, &["'2026-01-02'", "'1970-01-01'"]),
    ("time", Json, &["'03:04:05'"]),
    (
        "jsonb",
        Json,
        &["'{\"a\": [1, 2.50, null]}'", "'null'", "'7'"],
    ),
    (
        "bigint[]",
        Texts,
        &["'{1,844197938335842305,NULL}'", "'{}'"],
    ),
    ("numeric[]", Texts, &["'{1.10,2}'"]),
    ("text[]", Json, &["'{a,b}'"]),
    ("mood", Json, &["'a b'", "'c'"]),
];

/// Names of columns, and what they become in camel case.
pub(super) const NAMES: [(&str, &str); 24] = [
    ("body", "body"),
    ("reply_to", "replyTo"),
    ("_x_y", "_xY"),
    ("Weird Name", "Weird Name"),
    ("o", "o"),
    ("after", "after"),
    ("before", "before"),
    ("row", "row"),
    ("room", "room"),
    ("looked_up", "lookedUp"),
    ("c", "c"),
    ("r", "r"),
    ("k", "k"),
    ("t", "t"),
    ("place", "place"),
    ("key", "key"),
    ("a:b", "a:b"),
    ("a:text", "a:text"),
    ("place2_no", "place2No"),
    ("it's", "it's"),
    ("e", "e"),
    ("payload", "payload"),
    ("select", "select"),
    ("at", "at"),
];

pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) camel: &'static str,
    pub(super) kind: &'static str,
    pub(super) form: Form,
    pub(super) values: &'static [&'static str],
    pub(super) words: Option<[(&'static str, &'static str); 2]>,
    pub(super) default: Option<&'static str>,
    pub(super) as_text: bool,
}
