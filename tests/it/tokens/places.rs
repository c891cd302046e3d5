//! Where a token may come from.

use serde_json::json;

use super::server;
use crate::harness::issuer::{claims, token};
use crate::harness::{Database, Stock, Wire, http};

const ORIGIN: &str = "http://localhost:3000";

#[tokio::test]
async fn a_token_comes_in_the_handshake_a_header_or_a_cookie_and_never_in_the_url() {
    let database = Database::chat().await;
    let cookie = [("ROWCAST_JWT_COOKIE", "rowcast_token")];
    let (server, stock) = (server(&database, &cookie).await, Stock::start());
    let token = token(claims("user-7")).await;
    let (bearer, baked) = (
        format!("Bearer {token}"),
        format!("a=b; rowcast_token={token}"),
    );
    let cases = [
        (json!({ "auth": { "token": token } }), "in"),
        (json!({ "extraHeaders": { "authorization": bearer } }), "in"),
        (
            json!({ "extraHeaders": { "cookie": baked, "origin": ORIGIN } }),
            "in",
        ),
        (
            json!({ "extraHeaders": { "cookie": baked, "sec-fetch-site": "same-origin" } }),
            "in",
        ),
        (
            json!({ "extraHeaders": { "cookie": baked } }),
            "origin_not_allowed",
        ),
        (
            json!({ "extraHeaders": { "cookie": baked, "sec-fetch-site": "same-site" } }),
            "origin_not_allowed",
        ),
        (
            json!({ "extraHeaders": { "cookie": baked, "origin": "https://evil.example" } }),
            "origin_not_allowed",
        ),
        (
            json!({ "extraHeaders": { "cookie": format!("other={token}"), "origin": ORIGIN } }),
            "unauthorized",
        ),
        (
            json!({ "extraHeaders": { "cookie": baked, "origin": ORIGIN }, "auth": { "token": "x" } }),
            "unauthorized",
        ),
        (json!({ "query": { "token": token } }), "unauthorized"),
    ];
    for (options, expected) in cases {
        for transport in ["websocket", "polling"] {
            let mut options = options.clone();
            options["transports"] = json!([transport]);
            let mut client = stock.open(server.address(), &options, &[]).0;
            if expected == "in" {
                client.connected().await;
            } else {
                assert_eq!(client.refused().await["message"], expected, "{options}");
            }
        }
    }
    let path = "/api/conversations/42/events";
    for (headers, status) in [
        (&[("authorization", bearer.as_str())][..], 200),
        (&[("cookie", &baked), ("origin", ORIGIN)], 200),
        (
            &[("cookie", &baked), ("sec-fetch-site", "same-origin")],
            200,
        ),
        (&[("cookie", &baked)], 403),
        (&[], 401),
    ] {
        let answer = http::get(server.address(), path, headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    let in_query = format!("{path}?token={token}");
    assert_eq!(server.get(&in_query).await.status, 401);
}

/// Proxies read one of two headers, or the other; and some put each cookie into a line of its own.
#[tokio::test]
async fn what_is_given_twice_counts_alike_on_a_socket_and_over_http() {
    let database = Database::chat().await;
    let cookie = [("ROWCAST_JWT_COOKIE", "rowcast_token")];
    let server = server(&database, &cookie).await;
    let token = token(claims("user-7")).await;
    let (bearer, baked) = (format!("Bearer {token}"), format!("rowcast_token={token}"));
    for (headers, socket, status) in [
        (
            vec![("authorization", &*bearer), ("authorization", "Bearer x")],
            "44{\"message\":\"unauthorized\"",
            401,
        ),
        (
            vec![("cookie", "a=b"), ("cookie", &*baked), ("origin", ORIGIN)],
            "40{",
            200,
        ),
    ] {
        let mut wire = Wire::dial(server.address(), &headers)
            .await
            .expect("it opens");
        wire.send("40").await;
        let answered = |frame: &str| frame.starts_with("44") || frame.starts_with("40");
        let answer = wire.find("the answer to CONNECT", answered).await;
        assert!(answer.starts_with(socket), "{headers:?}: {answer}");
        let path = "/api/conversations/42/events";
        let answer = http::get(server.address(), path, &headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
}
