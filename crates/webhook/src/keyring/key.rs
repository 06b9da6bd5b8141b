//! One Ed25519 key: its name, what it signs, how it is published (RFC 8037).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::Serialize;
use streamkeeper::Timestamp;

/// How many bytes a private key has.
pub(super) const SEED_BYTES: usize = 32;

/// A key that signs deliveries from some moment on, until a later one takes over.
pub(super) struct SigningKey {
    pub(super) seed: [u8; SEED_BYTES],
    pub(super) active_from: Timestamp,
    pair: Ed25519KeyPair,
    jwk: Jwk,
}

/// The public half as a JSON Web Key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Jwk {
    pub(super) kty: &'static str,
    pub(super) crv: &'static str,
    pub(super) kid: String,
    pub(super) r#use: &'static str,
    pub(super) alg: &'static str,
    pub(super) x: String,
}

impl SigningKey {
    /// The key with this private half; `None` if there is no such key.
    pub(super) fn from_seed(seed: [u8; SEED_BYTES], active_from: Timestamp) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let kid = thumbprint(&x);
        let jwk = Jwk { kty: "OKP", crv: "Ed25519", kid, r#use: "sig", alg: "EdDSA", x };
        Some(Self { seed, active_from, pair, jwk })
    }

    pub(super) fn kid(&self) -> &str {
        &self.jwk.kid
    }

    pub(super) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The value of `Webhook-Signature` for a body sent now (section 7.1).
    pub(super) fn signature(&self, body: &[u8], now: Timestamp) -> String {
        let t = now.as_millis().div_euclid(1000);
        let signed = [t.to_string().as_bytes(), b".", body].concat();
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(&signed));
        format!("t={t},kid={},ed25519={signature}", self.kid())
    }
}

/// The name of a key: the hash of its public half in RFC 7638's canonical form.
fn thumbprint(x: &str) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    format!("ds_{}", URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    /// The key of RFC 8037, appendix A.
    fn rfc_8037() -> SigningKey {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        SigningKey::from_seed(seed.try_into().unwrap(), Timestamp::from_millis(0)).unwrap()
    }

    #[test]
    fn the_key_and_its_thumbprint_are_those_of_rfc_8037() {
        let key = rfc_8037();
        assert_eq!(key.jwk().x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.kid(), "ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_signature_is_over_the_time_and_the_raw_body() {
        let key = rfc_8037();
        let header = key.signature(b"{\"a\": 1}", Timestamp::from_millis(1_700_000_000_999));
        let (head, signature) = header.split_once(",ed25519=").unwrap();
        assert_eq!(head, format!("t=1700000000,kid={}", key.kid()));
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public =
            UnparsedPublicKey::new(&ED25519, URL_SAFE_NO_PAD.decode(&key.jwk().x).unwrap());
        assert!(public.verify(b"1700000000.{\"a\": 1}", &signature).is_ok());
        assert!(public.verify(b"1700000001.{\"a\": 1}", &signature).is_err());
        assert!(public.verify(b"1700000000.{\"a\":1}", &signature).is_err());
    }
}
