//! Tokens as JSON Web Tokens with HMAC-SHA-256 (PROTOCOL.md section 12.9).
//!
//! There is one algorithm, and the header is compared, not read: a token cannot choose how it is verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The longest token that is looked at, in bytes. Ours are far shorter.
const MAX_TOKEN_BYTES: usize = 4096;

/// Signs claims.
pub(crate) fn sign(key: &[u8], claims: &impl Serialize) -> String {
    let claims = serde_json::to_vec(claims).unwrap_or_default();
    let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// The claims of a token that was signed with this key. Whether they hold now is for the caller to see.
pub(crate) fn verify<C: DeserializeOwned>(key: &[u8], token: &str) -> Option<C> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (signed, tag) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    if header != HEADER {
        return None;
    }
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes(), &tag).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_token_is_a_jwt() {
        let token = sign(b"key", &json!({"sub": "s"}));
        let [header, claims, _] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("{token}")
        };
        let decode = |part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decode(header), r#"{"alg":"HS256","typ":"JWT"}"#);
        assert_eq!(decode(claims), r#"{"sub":"s"}"#);
        assert_eq!(verify::<Value>(b"key", &token), Some(json!({"sub": "s"})));
    }

    #[test]
    fn anything_else_is_refused() {
        let token = sign(b"key", &json!({"sub": "s"}));
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let claims = token.split('.').nth(1).unwrap();
        let other = URL_SAFE_NO_PAD.encode(r#"{"sub":"t"}"#);
        for forged in [
            String::new(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{}", token.rsplit('.').next().unwrap()),
            token.replace(claims, &other),
            token[..token.len() - 2].to_owned(),
            format!("{token}A"),
            format!("{token}="),
            format!(" {token}"),
            sign(b"another key", &json!({"sub": "s"})),
            format!("{token}{}", "A".repeat(MAX_TOKEN_BYTES)),
        ] {
            assert_eq!(verify::<Value>(b"key", &forged), None, "{forged}");
        }
    }
}
