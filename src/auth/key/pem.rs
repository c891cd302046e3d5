//! Keys as PEM files have them (RFC 7468): public ones to verify with, and one private key for `rowcast token`.
//!
//! A file may hold several public keys, all of which are valid: that is how a key is replaced while tokens of the earlier one are
//! still about. Refuses a private key where a public one is meant, so that no server needs to have what signs.
//! Relies on ring to check what a key is made of; here is read only which kind it is.

use jsonwebtoken::{Algorithm, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use rustls_pki_types::pem::{PemObject as _, SectionKind};

use super::{BadKey, KeySet, MAX_KEYS, VerifyingKey, bad};

const ACCEPTED: &str = "give PEM with -----BEGIN PUBLIC KEY-----, of RSA, P-256 or Ed25519";

const BEGIN: &str = "-----BEGIN";

/// Object identifiers (RFC 8017, appendix A.1; RFC 5480, section 2.1; RFC 8410, section 3), as DER has their content.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// The public keys of a PEM file.
pub(crate) fn public_keys(text: &[u8]) -> Result<KeySet, BadKey> {
    // Two files put together may lack the line's end between them, and the second key would not be seen.
    let text = String::from_utf8_lossy(text).replace(BEGIN, &format!("\n{BEGIN}"));
    let mut set = KeySet::default();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, der) = section.map_err(|_| bad(format!("it is broken PEM; {ACCEPTED}")))?;
        set.0.push(match kind {
            SectionKind::PublicKey => public_key(&der)?,
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err(bad(format!(
                    "it holds a private key, which no server needs; {ACCEPTED}"
                )));
            }
            _ => return Err(bad(format!("it holds something else; {ACCEPTED}"))),
        });
    }
    // Sections of unknown kinds are passed over when a file is read.
    if set.len() != text.matches(BEGIN).count() {
        return Err(bad(format!("it holds something else; {ACCEPTED}")));
    }
    match set.len() {
        0 => Err(bad(format!("it holds no key; {ACCEPTED}"))),
        1..=MAX_KEYS => Ok(set),
        count => Err(bad(format!(
            "it holds {count} keys, and {MAX_KEYS} are taken at most"
        ))),
    }
}

/// The key of a private PEM file, and the algorithm that it signs with.
pub(crate) fn signing_key(text: &[u8]) -> Result<(Algorithm, EncodingKey), BadKey> {
    let accepted = "give PEM with -----BEGIN PRIVATE KEY----- (PKCS #8), of RSA, P-256 or Ed25519";
    let der = <(SectionKind, Vec<u8>)>::pem_slice_iter(text)
        .filter_map(Result::ok)
        .find(|(kind, _)| matches!(kind, SectionKind::PrivateKey))
        .ok_or_else(|| bad(format!("it holds no such key; {accepted}")))?
        .1;
    if Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).is_ok() {
        return Ok((Algorithm::EdDSA, EncodingKey::from_ed_der(&der)));
    }
    let (curve, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    if EcdsaKeyPair::from_pkcs8(curve, &der, &random).is_ok() {
        return Ok((Algorithm::ES256, EncodingKey::from_ec_der(&der)));
    }
    match RsaKeyPair::from_pkcs8(&der) {
        Ok(_) => Ok((Algorithm::RS256, EncodingKey::from_rsa_der(&der))),
        Err(error) => Err(bad(format!("it can't be used ({error}); {accepted}"))),
    }
}

/// A SubjectPublicKeyInfo (RFC 5280, section 4.1).
fn public_key(der: &[u8]) -> Result<VerifyingKey, BadKey> {
    let parsed = || {
        let (mut info, b"") = split(der, SEQUENCE)? else {
            return None;
        };
        let mut algorithm = take(&mut info, SEQUENCE)?;
        let [0, key @ ..] = take(&mut info, BIT_STRING)? else {
            return None;
        };
        let kind = take(&mut algorithm, OBJECT_IDENTIFIER)?;
        Some((kind, algorithm, key))
    };
    let unknown = || bad(format!("it is of a kind that is not supported; {ACCEPTED}"));
    let (kind, mut parameters, key) = parsed().ok_or_else(unknown)?;
    match kind {
        RSA => rsa(key),
        EC if take(&mut parameters, OBJECT_IDENTIFIER) == Some(P256) => VerifyingKey::p256(key),
        EC => Err(bad("its curve is not P-256")),
        ED25519 => VerifyingKey::ed25519(key),
        _ => Err(unknown()),
    }
}

/// An RSAPublicKey.
fn rsa(der: &[u8]) -> Result<VerifyingKey, BadKey> {
    let modulus = split(der, SEQUENCE).and_then(|(mut key, _)| take(&mut key, INTEGER));
    let modulus = modulus.ok_or_else(|| bad("it is no RSA key"))?;
    let length = modulus.iter().skip_while(|byte| **byte == 0).count();
    VerifyingKey::rsa(der, length)
}

/// Takes the first element off `rest`, if it has this tag, and returns its content.
fn take<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (content, after) = split(rest, tag)?;
    *rest = after;
    Some(content)
}

/// The content of the first element (X.690, section 8.1), if it has this tag, and what comes after it.
fn split(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = der else {
        return None;
    };
    if *first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
