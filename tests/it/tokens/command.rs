//! `rowcast token`: makes tokens that the server takes, and says what it would say of one.

use serde_json::json;

use super::{admitted, server};
use crate::harness::issuer::{SECRET, claims, in_seconds, key_pairs, token};
use crate::harness::{Database, Launch, Scratch, Stock};

fn command(variables: &[(&str, &str)]) -> Launch {
    variables
        .iter()
        .fold(Launch::command(["token"]), |launch, (name, value)| {
            launch.env(name, value)
        })
}

const SECRETS: [(&str, &str); 2] = [("ROWCAST_AUTH", "jwt"), ("ROWCAST_JWT_SECRET", SECRET)];

#[tokio::test]
async fn a_token_that_was_made_lets_its_bearer_in() {
    let database = Database::chat().await;
    let (server, stock) = (server(&database, &[]).await, Stock::start());
    let made = command(&SECRETS)
        .arg("--sub=user-7")
        .arg("--rooms=conversation:42")
        .arg("--rooms=inbox:*")
        .arg("--ttl=2h")
        .arg(r#"--claims={"tenant":9}"#)
        .succeed()
        .await;
    let made = made.stdout.trim().to_owned();
    admitted(&stock, &server, &made).await;
    let said = command(&SECRETS)
        .arg(&format!("--check={made}"))
        .arg("--json")
        .succeed()
        .await;
    let said: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(
        (&said["ok"], &said["sub"]),
        (&json!(true), &json!("user-7"))
    );
    assert_eq!(
        said["claims"]["rooms"],
        json!(["conversation:42", "inbox:*"])
    );
    assert_eq!(said["claims"]["tenant"], 9);
    let life = said["exp"].as_i64().expect("a time") - said["iat"].as_i64().expect("a time");
    assert_eq!(life, 7200);
}

/// `rowcast attach` takes several rooms in one argument; a room of such a name may be meant all the same.
#[tokio::test]
async fn a_list_that_is_one_room_is_warned_of() {
    let made = async |rooms: &str| {
        let launch = command(&SECRETS).arg("--sub=user-7");
        launch.arg(&format!("--rooms={rooms}")).succeed().await
    };
    let said = made("inbox:7,conversation:7/*").await.stderr;
    assert!(said.contains("--rooms once for each room"), "{said}");
    assert_eq!(made("conversation:a,b").await.stderr, "");
}

#[tokio::test]
async fn a_token_is_checked_as_the_server_would() {
    let good = token(claims("user-7")).await;
    let expired = token(json!({ "sub": "user-7", "exp": in_seconds(-600) })).await;
    let said = command(&SECRETS)
        .arg(&format!("--check={good}"))
        .succeed()
        .await;
    assert!(said.stdout.starts_with(r#"good: sub "user-7""#), "{said:?}");
    let too_old =
        token(json!({ "sub": "user-7", "exp": in_seconds(60), "iat": in_seconds(-40 * 86_400) }))
            .await;
    let in_milliseconds = token(json!({ "sub": "user-7", "exp": in_seconds(60) * 1000 })).await;
    let said = command(&SECRETS)
        .arg(&format!("--check={in_milliseconds}"))
        .succeed()
        .await;
    assert!(said.stdout.contains("meant in milliseconds?"), "{said:?}");
    let cases = [
        (expired, "refused as token_expired: the token has expired"),
        (
            too_old,
            "refused as token_expired: the token was issued (iat) longer ago than ROWCAST_MAX_TOKEN_AGE",
        ),
        (format!("{good}x"), "refused as unauthorized: the token"),
        ("x".to_owned(), "refused as unauthorized: the token is none"),
    ];
    for (token, words) in cases {
        let said = command(&SECRETS)
            .arg(&format!("--check={token}"))
            .end()
            .await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stdout.starts_with(words), "{said:?}");
    }
    command(&[])
        .arg("--check=x")
        .refuse(&["asks for no token", "ROWCAST_AUTH=jwt"])
        .await;
    command(&[])
        .arg("--sub=a")
        .refuse(&["there is no key"])
        .await;
}

#[tokio::test]
async fn a_private_key_signs_for_its_public_one() {
    let folder = Scratch::folder();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    for pair in key_pairs(&["RS256", "ES256", "EdDSA"]).await {
        let (public, private) = (file("public", &pair.public), file("private", &pair.private));
        let settings = [
            ("ROWCAST_AUTH", "jwt"),
            ("ROWCAST_JWT_PUBLIC_KEY", public.as_str()),
        ];
        let made = command(&settings)
            .arg("--sub=a")
            .arg(&format!("--key={private}"))
            .succeed()
            .await;
        let check = format!("--check={}", made.stdout.trim());
        command(&settings).arg(&check).succeed().await;
        command(&settings)
            .arg("--sub=a")
            .refuse(&["public key, which can't sign", "--key"])
            .await;
        let settings = [
            ("ROWCAST_AUTH", "jwt"),
            ("ROWCAST_JWT_PUBLIC_KEY", private.as_str()),
        ];
        command(&settings)
            .arg(&check)
            .refuse(&["ROWCAST_JWT_PUBLIC_KEY", "private key"])
            .await;
    }
}
