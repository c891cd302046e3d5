//! Tokens that `jose` and `PyJWT` sign, of each algorithm.

use super::{admitted, turned_away};
use crate::harness::issuer::{self, SECRET, claims, in_seconds, key_pairs};
use crate::harness::{Database, Scratch, Server, Stock, http};
use serde_json::json;

#[tokio::test]
async fn tokens_of_other_implementations_are_taken_and_those_of_other_keys_are_not() {
    let database = Database::chat().await;
    let (stock, folder) = (Stock::start(), Scratch::folder());
    let algorithms = ["RS256", "ES256", "EdDSA"];
    let pairs = key_pairs(&algorithms).await;
    let others = key_pairs(&algorithms).await;
    let mut cases = vec![(
        ("ROWCAST_JWT_SECRET", SECRET.to_owned()),
        json!({ "alg": "HS256", "key": SECRET, "claims": claims("user-7") }),
        json!({ "alg": "HS256", "key": SECRET.replace('a', "b"), "claims": claims("user-7") }),
    )];
    for (pair, other) in pairs.iter().zip(&others) {
        let file = folder.path().join(&pair.algorithm);
        std::fs::write(&file, &pair.public).expect("a file");
        let path = file.to_str().expect("UTF-8").to_owned();
        cases.push((
            ("ROWCAST_JWT_PUBLIC_KEY", path),
            pair.signs(&claims("user-7")),
            other.signs(&claims("user-7")),
        ));
    }
    for ((name, value), good, bad) in cases {
        let variables = [("ROWCAST_AUTH", "jwt"), (name, value.as_str())];
        let server = Server::with(&database, &variables).await;
        let asked = [good, bad];
        for made in [
            issuer::tokens(&asked).await,
            issuer::tokens_of_python(&asked).await,
        ] {
            let client = admitted(&stock, &server, &made[0]).await;
            client.join("42").await;
            let refusal = turned_away(&stock, &server, &made[1]).await;
            assert_eq!(refusal["message"], "unauthorized", "{refusal}");
            for (token, status) in [(&made[0], 200), (&made[1], 401)] {
                let bearer = format!("Bearer {token}");
                let headers = [("authorization", bearer.as_str())];
                let path = "/api/conversations/42/events";
                let answer = http::get(server.address(), path, &headers).await;
                assert_eq!(answer.status, status, "{name}");
            }
        }
        server
            .counted("rowcast_refusals_total", &["signature"], 4.0)
            .await;
    }
}

#[tokio::test]
async fn a_public_key_does_not_sign() {
    let database = Database::chat().await;
    let (stock, folder) = (Stock::start(), Scratch::folder());
    let pair = key_pairs(&["RS256"]).await.remove(0);
    let file = folder.path().join("key.pem");
    std::fs::write(&file, &pair.public).expect("a file");
    let path = file.to_str().expect("UTF-8");
    let variables = [("ROWCAST_AUTH", "jwt"), ("ROWCAST_JWT_PUBLIC_KEY", path)];
    let server = Server::with(&database, &variables).await;
    // The classic: HS256, with the text of the public key as the secret.
    let claims = json!({ "sub": "root", "exp": in_seconds(600) });
    let forged = json!({ "alg": "HS256", "key": pair.public, "claims": claims });
    let trimmed = json!({ "alg": "HS256", "key": pair.public.trim(), "claims": claims });
    for token in issuer::tokens(&[forged, trimmed]).await {
        let refusal = turned_away(&stock, &server, &token).await;
        assert_eq!(refusal["message"], "unauthorized", "{refusal}");
    }
    server
        .counted("rowcast_refusals_total", &["algorithm"], 2.0)
        .await;
}
