//! Tokens that are no good, and one that is good for next to nothing.

use serde_json::{Value, json};

use super::tenants::{claims, contacts};
use super::{AUDIENCE, ISSUER, bearing, signed};
use crate::harness::issuer::in_seconds;
use crate::harness::token::SECRET;

/// A name for what is wrong, and the token.
pub(super) type Bad = (&'static str, String);

/// Tokens that say that their bearer is of the tenant, and prove it to nobody. `good` is one that does.
pub(super) fn forged(tenant: &str, good: &str) -> Vec<Bad> {
    let head = json!({ "alg": "HS256", "typ": "JWT" });
    let with = |changes: Value| {
        let mut all = claims(tenant, true);
        (all["sub"], all["iat"]) = (json!("looted"), json!(in_seconds(0)));
        all["exp"] = json!(in_seconds(3_600));
        for (name, value) in changes.as_object().expect("an object") {
            all[name] = value.clone();
        }
        all
    };
    let by_us = |changes| signed(SECRET, &head, &with(changes));
    let mut tampered: Vec<&str> = good.split('.').collect();
    let more = signed(SECRET, &head, &with(json!({ "sub": "root" })));
    tampered[1] = more.split('.').nth(1).expect("a payload");
    let unsigned = signed(SECRET, &json!({ "alg": "none" }), &with(json!({})));
    let unsigned = unsigned.rsplit_once('.').expect("a signature").0;
    vec![
        ("none at all", String::new()),
        (
            "signed with another key",
            signed(
                "another secret, which is as long as ours",
                &head,
                &with(json!({})),
            ),
        ),
        ("signed with no key", format!("{unsigned}.")),
        (
            "of another algorithm",
            signed(SECRET, &json!({ "alg": "RS256" }), &with(json!({}))),
        ),
        (
            "with an extension",
            signed(
                SECRET,
                &json!({ "alg": "HS256", "crit": ["exp"] }),
                &with(json!({})),
            ),
        ),
        (
            "with a key of its own",
            signed(
                SECRET,
                &json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "AA" } }),
                &with(json!({})),
            ),
        ),
        ("with another payload", tampered.join(".")),
        ("expired", by_us(json!({ "exp": in_seconds(-60) }))),
        ("without an end", by_us(json!({ "exp": null }))),
        (
            "with an end that is text",
            by_us(json!({ "exp": "9999999999" })),
        ),
        ("not valid yet", by_us(json!({ "nbf": in_seconds(600) }))),
        (
            "issued in the future",
            by_us(json!({ "iat": in_seconds(600) })),
        ),
        ("too old", by_us(json!({ "iat": in_seconds(-40 * 86_400) }))),
        ("without a subject", by_us(json!({ "sub": "" }))),
        (
            "of another issuer",
            by_us(json!({ "iss": "https://evil.example" })),
        ),
        ("of issuers", by_us(json!({ "iss": [ISSUER] }))),
        ("for another audience", by_us(json!({ "aud": "other" }))),
        ("for no audience", by_us(json!({ "aud": [] }))),
    ]
}

/// A tenant of ours, whose claims reach for everything that they don't open.
pub(super) fn mallory() -> String {
    let grabbing = json!({
        "conversations": ["mallory-1", 1, "%", "*", "_mber", "amb%", "AMBER", "\u{430}mber", "\u{ff41}mber"],
        "rooms": [
            "conversation:mallory*", "conversation:1", "conversation:%", "conversation:_mber*", "conversation:AMBER*",
            "conversation:am\u{200b}ber*", "conversation", "%*", "_*", ".*", "rowcast:*", "rowcast:revocations", 1, null, ["*"],
        ],
        "tenant": AUDIENCE,
    });
    bearing("mallory", &grabbing)
}

/// Mallory once more, with a character in the claims that no text in Postgres has.
pub(super) fn mallory_with_nul() -> String {
    let grabbing = json!({ "conversations": ["amber\0", "*"], "rooms": ["conversation:\0*"] });
    bearing("mallory", &grabbing)
}

/// What is asked for: every room of a tenant, and what may be mistaken for one.
pub(super) fn wanted(tenant: &str) -> Vec<Value> {
    let mut wanted: Vec<Value> = contacts(tenant).into_iter().map(Value::from).collect();
    let odd = [
        "1",
        "10",
        "%",
        "*",
        "_",
        "",
        " ",
        ".",
        "..",
        "../amber",
        "amber/../amber",
        "amber%",
        "amber*",
        "AMBER",
        "Amber-1",
        "\u{430}mber",
        "\u{ff41}mber",
        "am\u{200b}ber",
        "amber\u{301}",
        " amber",
        "amber ",
        "amber\t",
        "amber\n",
        "amber\0",
        "\0",
        "amber\0-1",
        "conversation:amber",
        ":amber",
        "rowcast:revocations",
        "rowcast:",
        "revocations",
        "' or true --",
        "amber' or '1'='1",
        "$1",
        "{amber}",
        "null",
        "\u{202e}rebma",
        "mallory-1",
    ];
    wanted.extend(odd.map(|name| Value::from(name.replace("amber", tenant))));
    wanted.extend([
        json!(1),
        json!(10),
        json!(1.5),
        json!(9_007_199_254_740_993_u64),
        json!(null),
        json!(true),
        json!([tenant]),
        json!({ "room": format!("conversation:{tenant}") }),
        json!({ "contactId": [tenant] }),
        json!({ "contactId": { "contactId": tenant } }),
        json!("x".repeat(501)),
        json!(format!("{tenant}{}", "-".repeat(600))),
        json!("\u{1f511}".repeat(125)),
    ]);
    wanted
}
