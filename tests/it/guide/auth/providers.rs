//! The settings and policies for providers of identities, with tokens and key sets of the shape that theirs have.

use serde_json::{Value, json};

use super::{block, joins};
use crate::guide::tools::{folder, write};
use crate::harness::issuer::{KeyPair, in_seconds, key_pairs, tokens};
use crate::harness::key_server::{Answer, KeyServer};
use crate::harness::{Database, Launch, Scratch, Server, Stock};

/// A server with the page's settings and policy for a provider, whose key set has these keys.
struct Provided {
    server: Server,
    stock: Stock,
    key: KeyPair,
    _keys: KeyServer,
    _database: Database,
    _folder: Scratch,
}

impl Provided {
    async fn with(settings: &str, policy: &str, algorithm: &str, others: &[Value]) -> Self {
        let key = key_pairs(&[algorithm]).await.remove(0);
        let mut set = others.to_vec();
        set.push(key.jwk.clone());
        let keys = KeyServer::start(Answer::Keys(set)).await;
        let place = |line: &str| match line.starts_with("ROWCAST_JWT_JWKS=https://") {
            true => format!("ROWCAST_JWT_JWKS={}", keys.url()),
            false => line.to_owned(),
        };
        let settings: Vec<_> = settings.lines().map(place).collect();
        assert!(settings.iter().any(|line| line.contains(&keys.url())));
        let folder = folder();
        write(&folder, ".env", &settings.join("\n"));
        let database = Database::chat().await;
        database.run(policy).await;
        let launch = Launch::serve().database(&database.url);
        let server = launch.folder(folder.path()).start().await;
        server.readiness(200).await;
        Self {
            server,
            stock: Stock::start(),
            key,
            _keys: keys,
            _database: database,
            _folder: folder,
        }
    }

    /// What a token of these claims opens of conversations 42 and 43.
    async fn opens(&self, claims: Value) -> Vec<String> {
        let mut all = json!({
            "sub": "7d2f", "iat": in_seconds(0), "exp": in_seconds(3600),
        });
        for (name, value) in claims.as_object().expect("an object") {
            all[name] = value.clone();
        }
        let token = tokens(&[self.key.signs(&all)]).await.remove(0);
        joins(&self.stock, &self.server, &token, &["42", "43"]).await
    }
}

#[tokio::test]
async fn tokens_of_auth0() {
    let (settings, policy) = (block("Auth0", "env"), block("Auth0", "sql"));
    let provided = Provided::with(&settings, &policy, "RS256", &[]).await;
    let mut claims = json!({
        "iss": "https://example.eu.auth0.com/",
        "sub": "auth0|65f1",
        "aud": ["https://chat.example.com", "https://example.eu.auth0.com/userinfo"],
        "azp": "kQ3f", "scope": "openid profile",
        "https://chat.example.com/conversations": ["42"],
    });
    assert_eq!(provided.opens(claims.clone()).await, ["ok", "forbidden"]);
    claims["https://chat.example.com/conversations"].take();
    assert_eq!(provided.opens(claims).await, ["forbidden", "forbidden"]);
}

#[tokio::test]
async fn tokens_of_keycloak() {
    // A realm's set also has a key that encrypts.
    let mut encrypts = key_pairs(&["RS256"]).await.remove(0).jwk;
    encrypts["use"] = json!("enc");
    encrypts["alg"] = json!("RSA-OAEP");
    let (settings, policy) = (block("Keycloak", "env"), block("Keycloak", "sql"));
    let provided = Provided::with(&settings, &policy, "RS256", &[encrypts]).await;
    let claims = json!({
        "iss": "https://sso.example.com/realms/shop",
        "aud": ["rowcast", "account"], "typ": "Bearer", "azp": "dashboard",
        "realm_access": { "roles": ["offline_access", "default-roles-shop"] },
        "conversations": ["42"],
    });
    assert_eq!(provided.opens(claims.clone()).await, ["ok", "forbidden"]);
    let mut support = claims.clone();
    support["realm_access"]["roles"] = json!(["support"]);
    assert_eq!(provided.opens(support).await, ["ok", "ok"]);
    let nobody = json!({ "iss": claims["iss"], "aud": "rowcast" });
    assert_eq!(provided.opens(nobody).await, ["forbidden", "forbidden"]);
}

#[tokio::test]
async fn tokens_of_supabase() {
    let (settings, policy) = (block("Supabase", "env"), block("Supabase", "sql"));
    let provided = Provided::with(&settings, &policy, "ES256", &[]).await;
    let mut claims = json!({
        "iss": "https://abcdefgh.supabase.co/auth/v1",
        "aud": "authenticated", "role": "authenticated", "aal": "aal1",
        "app_metadata": { "provider": "email", "conversations": ["42"] },
        "user_metadata": { "conversations": "*" },
    });
    assert_eq!(provided.opens(claims.clone()).await, ["ok", "forbidden"]);
    claims["app_metadata"] = json!({ "provider": "email" });
    assert_eq!(provided.opens(claims).await, ["forbidden", "forbidden"]);
}
