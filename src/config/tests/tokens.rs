//! The settings about tokens: which go together, which don't, and that no secret is told.

use super::*;

const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-";
const JWT: (&str, &str) = ("ROWCAST_AUTH", "jwt");
const KEY: (&str, &str) = ("ROWCAST_JWT_SECRET", SECRET);
const JWKS: (&str, &str) = ("ROWCAST_JWT_JWKS", "https://id.example/keys");

fn jwt(variables: &[(&str, &str)]) -> Jwt {
    match resolve(&[], variables, "").map(|config| config.auth) {
        Ok(Auth::Jwt(jwt)) => *jwt,
        other => panic!("{other:?}"),
    }
}

fn lines(variables: &[(&str, &str)]) -> String {
    let error = resolve(&[], variables, "")
        .expect_err("refused")
        .to_string();
    assert!(!error.contains("hunter2"), "{error}");
    error
}

#[test]
fn tokens_take_one_kind_of_key() {
    assert!(matches!(jwt(&[JWT, KEY]).keys, JwtKeys::Secrets(keys) if keys.len() == 1));
    let previous = ("ROWCAST_JWT_SECRET_PREVIOUS", SECRET);
    assert!(matches!(jwt(&[JWT, KEY, previous]).keys, JwtKeys::Secrets(keys) if keys.len() == 2));
    let pem = ("ROWCAST_JWT_PUBLIC_KEY", "key.pem");
    assert!(matches!(jwt(&[JWT, pem]).keys, JwtKeys::PublicKey(file) if file.is_absolute()));
    let audience = ("ROWCAST_JWT_AUDIENCE", "a, b");
    let found = jwt(&[JWT, JWKS, audience]);
    assert!(matches!(found.keys, JwtKeys::JwksUrl { refresh, .. } if refresh.as_secs() == 600));
    assert_eq!(found.audiences, ["a", "b"]);
    for local in [
        "http://127.0.0.1:1/k",
        "http://[::1]/k",
        "http://localhost:8080/k",
    ] {
        jwt(&[JWT, ("ROWCAST_JWT_JWKS", local), audience]);
    }
    let file = ("ROWCAST_JWT_JWKS", "keys.json");
    assert!(matches!(
        jwt(&[JWT, file, audience]).keys,
        JwtKeys::JwksFile(_)
    ));
    for (variables, part) in [
        (&[JWT][..], "there is no key"),
        (&[JWT, KEY, pem], "keys of two kinds"),
        (&[JWT, pem, JWKS, audience], "keys of two kinds"),
        (&[JWT, JWKS], "ROWCAST_JWT_AUDIENCE"),
        (&[JWT, pem, previous], "ROWCAST_JWT_SECRET_PREVIOUS"),
        (&[KEY], "ROWCAST_JWT_SECRET is set, and no client is asked"),
        (
            &[pem],
            "ROWCAST_JWT_PUBLIC_KEY is set, and no client is asked",
        ),
    ] {
        let lines = lines(variables);
        assert!(lines.contains(part), "{variables:?}: {lines}");
    }
    let none = resolve(&[], &[("ROWCAST_AUTH", "none"), KEY], "").expect("it is said");
    assert!(matches!(none.auth, Auth::None));
}

#[test]
fn tokens_make_an_open_host_fit_and_turn_the_demo_off() {
    let open = ("HOST", "0.0.0.0");
    let config = resolve(&[], &[open, JWT, KEY], "").expect("tokens are asked for");
    assert!(!config.demo, "although there is no DATABASE_URL");
    let lines = lines(&[JWT, KEY, ("ROWCAST_DEMO", "on")]);
    assert!(
        lines.starts_with("ROWCAST_DEMO=\"on\" is not accepted"),
        "{lines}"
    );
    let job = resolve(&["migrate"], &[JWT], "").expect("a job needs no key");
    assert!(matches!(job.auth, Auth::None));
}

#[test]
fn a_cookie_needs_origins_that_are_named() {
    let cookie = ("ROWCAST_JWT_COOKIE", "__Host-token");
    assert_eq!(
        jwt(&[JWT, KEY, cookie]).cookie.as_deref(),
        Some("__Host-token")
    );
    let lines = lines(&[JWT, KEY, cookie, ("FRONTEND_URL", "*")]);
    assert!(
        lines.starts_with("FRONTEND_URL=\"*\" is not accepted"),
        "{lines}"
    );
    jwt(&[JWT, KEY, ("FRONTEND_URL", "*")]);
}

#[test]
fn a_secret_may_lie_in_a_file_and_is_never_told() {
    let folder = std::env::temp_dir().join(format!("rowcast-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (good, short) = (folder.join("good"), folder.join("short"));
    std::fs::write(&good, format!("{SECRET}\n")).expect("a file");
    std::fs::write(&short, "hunter2\n").expect("a file");
    let file = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let name = "ROWCAST_JWT_SECRET_FILE";
    let (good, short) = (file(&good), file(&short));
    let found = jwt(&[JWT, (name, &good)]);
    assert!(matches!(&found.keys, JwtKeys::Secrets(keys)
        if keys[0].text.expose() == SECRET && keys[0].file.is_some()));
    assert!(!format!("{found:?} {found:#?}").contains("hunter2"));
    let line = lines(&[JWT, (name, &short)]);
    assert!(line.starts_with(name) && line.contains("7 bytes"), "{line}");
    let line = lines(&[JWT, KEY, (name, &good)]);
    assert!(line.contains("ROWCAST_JWT_SECRET is set as well"), "{line}");
    let line = lines(&[JWT, ("ROWCAST_JWT_SECRET", "hunter2")]);
    let start = "ROWCAST_JWT_SECRET is not accepted (its value is not shown): it has 7 bytes; give at least 32 bytes";
    assert!(line.starts_with(start), "{line}");
    lines(&[JWT, KEY, ("ROWCAST_JWT_SECRET_PREVIOUS", "hunter2")]);
    std::fs::write(&good, "postgres://me:hunter2@db/chat\n").expect("a file");
    let config = resolve(&[], &[("DATABASE_URL_FILE", &good)], "").expect("a database");
    let database = config.database.expect("a database");
    assert_eq!(database.to_string(), "postgres://me@db:5432/chat");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}
