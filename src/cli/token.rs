//! `rowcast token`: makes a token for trying, or says what the server would say of one.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Map, Value, json};

use crate::auth::{self, ConnectError, Identity, Signer, TokenError};
use crate::config::{Auth, Config, Jwt, JwtKeys, TokenArgs};
use crate::metrics::Metrics;
use crate::revocations::Revocations;
use crate::status::Checks;
use crate::stdout::print_line;

/// Runs the command.
///
/// # Errors
/// No token can be made, or none be judged.
pub(crate) async fn token(config: &Config, args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let jwt = match &config.auth {
        Auth::Jwt(jwt) => Some(&**jwt),
        Auth::None => None,
    };
    let Some(presented) = &args.check else {
        print_line(made(jwt, args)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    let jwt = jwt.context("the server asks for no token: set ROWCAST_AUTH=jwt, and a key")?;
    let presented = match &**presented {
        "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("the standard input can't be read")?;
            text
        }
        token => token.to_owned(),
    };
    let verifier = auth::verifier_now(jwt, &Metrics::new().0, &Checks::default()).await?;
    let verified = verifier.verify(presented.trim());
    let verified = verified
        .map(|token| Identity::Bearer(token.into()))
        .map_err(Refusal::from)
        .and_then(|identity| not_too_old(identity, config));
    let is_good = verified.is_ok();
    if args.json {
        print_line(as_json(&verified))?;
    } else {
        print_line(as_text(&verified))?;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn made(jwt: Option<&Jwt>, args: &TokenArgs) -> anyhow::Result<String> {
    let signer = match (&args.key, jwt.map(|jwt| &jwt.keys)) {
        (Some(file), _) => {
            let pem = std::fs::read(file)
                .with_context(|| format!("--key {} can't be read", file.display()))?;
            Signer::with_key(&pem, args.kid.clone())
                .map_err(|reason| anyhow!("--key {}: {reason}", file.display()))?
        }
        (None, Some(JwtKeys::Secrets(secrets))) => {
            let secret = secrets.first().context("there is no secret")?;
            Signer::with_secret(secret.text.expose()).map_err(|reason| anyhow!(reason))?
        }
        (None, Some(_)) => {
            bail!("the server has a public key, which can't sign: give the private one by --key")
        }
        (None, None) => bail!(
            "there is no key: set ROWCAST_AUTH=jwt and ROWCAST_JWT_SECRET, or give a private key by --key"
        ),
    };
    let claims = claims(jwt, args)?;
    signer
        .token(claims, args.ttl)
        .map_err(|reason| anyhow!("the token can't be signed: {reason}"))
}

/// The claims that the arguments and the settings ask for.
fn claims(jwt: Option<&Jwt>, args: &TokenArgs) -> anyhow::Result<Map<String, Value>> {
    let mut claims: Map<String, Value> = match &args.claims {
        Some(text) => serde_json::from_str(text).context("--claims is no JSON object")?,
        None => Map::new(),
    };
    let subject = args.sub.as_deref().unwrap_or_default();
    if subject.is_empty() {
        bail!("--sub is empty: say whom the token is about");
    }
    claims.insert("sub".to_owned(), json!(subject));
    if !args.rooms.is_empty() {
        for room in args.rooms.iter().filter(|room| is_like_a_list(room)) {
            eprintln!(
                "rowcast: warning: --rooms {room:?} is one room of that name; give --rooms once for each room"
            );
        }
        claims.insert("rooms".to_owned(), json!(args.rooms));
    }
    let settings = [
        ("iss", jwt.and_then(|jwt| jwt.issuers.first())),
        ("aud", jwt.and_then(|jwt| jwt.audiences.first())),
    ];
    for (name, value) in settings {
        if let Some(value) = value {
            claims.entry(name).or_insert_with(|| json!(value));
        }
    }
    Ok(claims)
}

/// Whether this is "conversation:1,conversation:2": a name that a room may have, and hardly has.
fn is_like_a_list(room: &str) -> bool {
    room.split_once(',')
        .is_some_and(|(_, rest)| rest.contains(':'))
}

/// Why the server would not let the bearer of a token in.
struct Refusal {
    error: ConnectError,
    reason: &'static str,
    message: String,
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self {
            error: ConnectError::from(&error),
            reason: error.reason(),
            message: error.to_string(),
        }
    }
}

/// The server refuses it also where no revocation is younger than the token. Those of the database aren't looked at.
fn not_too_old(identity: Identity, config: &Config) -> Result<Identity, Refusal> {
    match auth::check_not_revoked(&identity, &Revocations::new(config.max_token_age)) {
        Ok(()) => Ok(identity),
        Err(error) => Err(Refusal {
            error,
            reason: "too_old",
            message: "the token was issued (iat) longer ago than ROWCAST_MAX_TOKEN_AGE".to_owned(),
        }),
    }
}

/// What is odd about a good token.
fn note(expires_at: i64) -> &'static str {
    // Beyond the year 5138.
    if expires_at > 100_000_000_000 {
        "\nnote: its exp is in seconds, and lies millennia ahead: was it meant in milliseconds?"
    } else {
        ""
    }
}

fn as_text(verified: &Result<Identity, Refusal>) -> String {
    match verified {
        Ok(identity) => {
            let told = identity.token().map(|token| {
                let (subject, issuer) = (token.subject(), token.issuer().unwrap_or("none"));
                format!(
                    "sub {subject:?}, iss {issuer:?}, valid until {}",
                    until(token.expires_at())
                )
            });
            let claims = identity.claims_json();
            let note = identity
                .token()
                .map_or("", |token| note(token.expires_at()));
            format!("good: {}{note}\nclaims: {claims}", told.unwrap_or_default())
        }
        Err(refusal) => format!("refused as {}: {}", refusal.error, refusal.message),
    }
}

fn as_json(verified: &Result<Identity, Refusal>) -> Value {
    match verified {
        Ok(identity) => json!({
            "ok": true,
            "sub": identity.token().map(|token| token.subject()),
            "iss": identity.token().and_then(|token| token.issuer()),
            "iat": identity.token().and_then(|token| token.issued_at()),
            "exp": identity.token().map(|token| token.expires_at()),
            "claims": serde_json::from_str::<Value>(identity.claims_json()).unwrap_or_default(),
        }),
        Err(refusal) => json!({
            "ok": false,
            "code": refusal.error.to_string(),
            "reason": refusal.reason,
            "message": refusal.message,
        }),
    }
}

fn until(expires_at: i64) -> String {
    let seconds = Duration::from_secs(expires_at.max(0).unsigned_abs());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + seconds).to_string()
}
