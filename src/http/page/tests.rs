//! The page with its files and without, whichever this binary was built with.

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use tower::ServiceExt as _;

use super::*;

const NONE: Files = |_| None;
const SOME: Files = |path| match path {
    "index.html" => Some(Cow::Borrowed(b"<!doctype html>page")),
    "assets/a-1.js" => Some(Cow::Borrowed(b"code")),
    "assets/a-1.js.gz" => Some(Cow::Borrowed(b"packed")),
    "assets/b-2.css" => Some(Cow::Borrowed(b"style")),
    "secret" => Some(Cow::Borrowed(b"secret")),
    _ => None,
};

async fn ask(files: Files, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let unbuilt = "make it";
    let built = Built { files, unbuilt };
    let answer = routes(built).oneshot(request).await;
    answer.unwrap_or_else(|never| match never {})
}

fn header<'a>(answer: &'a Response<Body>, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |value| value.to_str().expect("text"))
}

async fn body(answer: Response<Body>) -> String {
    let bytes = to_bytes(answer.into_body(), 10_000).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn the_page_is_asked_for_each_time_and_loads_nothing_from_elsewhere() {
    let answer = ask(SOME, "/", &[]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&answer, "cache-control"), "no-cache");
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    let policy = header(&answer, "content-security-policy");
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    let tag = header(&answer, "etag").to_owned();
    assert_eq!(body(answer).await, "<!doctype html>page");
    let again = ask(SOME, "/", &[("if-none-match", &tag)]).await;
    assert_eq!(again.status(), 304);
    assert_eq!(header(&again, "etag"), tag);
}

#[tokio::test]
async fn without_its_files_the_page_says_how_to_build_them() {
    let answer = ask(NONE, "/", &[]).await;
    assert_eq!(answer.status(), 503);
    assert!(header(&answer, "content-type").starts_with("text/plain"));
    assert!(body(answer).await.contains("make it"));
    assert_eq!(ask(NONE, "/assets/a-1.js", &[]).await.status(), 404);
}

#[tokio::test]
async fn a_file_is_kept_for_ever_and_packed_for_whoever_unpacks_it() {
    for (path, encodings, kind, encoding, content) in [
        (
            "/assets/a-1.js",
            "gzip, deflate, br",
            "text/javascript",
            "gzip",
            "packed",
        ),
        (
            "/assets/a-1.js",
            "GZIP;q=0.5",
            "text/javascript",
            "gzip",
            "packed",
        ),
        ("/assets/a-1.js", "br", "text/javascript", "", "code"),
        ("/assets/a-1.js", "gzip;q=0", "text/javascript", "", "code"),
        ("/assets/a-1.js", "", "text/javascript", "", "code"),
        ("/assets/b-2.css", "gzip", "text/css", "", "style"),
    ] {
        let answer = ask(SOME, path, &[("accept-encoding", encodings)]).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(header(&answer, "content-type").starts_with(kind), "{path}");
        assert_eq!(header(&answer, "content-encoding"), encoding, "{encodings}");
        assert_eq!(header(&answer, "vary"), "accept-encoding");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        let kept = header(&answer, "cache-control");
        assert!(kept.contains("immutable"), "{kept}");
        assert_eq!(body(answer).await, content, "{path} {encodings}");
    }
}

#[tokio::test]
async fn nothing_else_is_there() {
    for path in [
        "/secret",
        "/assets/secret",
        "/assets/../secret",
        "/assets/%2e%2e/secret",
        "/assets/",
        "/index.html",
    ] {
        assert_eq!(ask(SOME, path, &[]).await.status(), 404, "{path}");
    }
}
