//! Callback and claim tokens: what they say of a wake, and until when (PROTOCOL.md section 12.9).

use serde::{Deserialize, Serialize};
use streamkeeper::protocol::subscription::SubscriptionId;
use streamkeeper::{Timestamp, TokenError, TokenPurpose, TokenScope};

use crate::jwt;

/// The claims of a token. The names are JWT's where it has some.
#[derive(Serialize, Deserialize)]
struct Claims {
    /// The subscription.
    sub: String,
    /// Its life.
    life: String,
    r#gen: u64,
    r#use: Purpose,
    /// Seconds since the epoch.
    exp: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Purpose {
    Callback,
    Claim,
}

/// A token that proves the scope until it expires.
pub(crate) fn issue(key: &[u8], scope: &TokenScope, expires_at: Timestamp) -> String {
    let claims = Claims {
        sub: scope.subscription.as_str().to_owned(),
        life: scope.life.to_string(),
        r#gen: scope.generation,
        r#use: match scope.purpose {
            TokenPurpose::Callback => Purpose::Callback,
            TokenPurpose::Claim => Purpose::Claim,
        },
        // JWT counts in seconds; never earlier than asked for.
        exp: expires_at.as_millis().saturating_add(999).div_euclid(1000),
    };
    jwt::sign(key, &claims)
}

/// What a token proves now.
pub(crate) fn verify(key: &[u8], token: &str, now: Timestamp) -> Result<TokenScope, TokenError> {
    let claims: Claims = jwt::verify(key, token).ok_or(TokenError::Invalid)?;
    if now.as_millis() >= claims.exp.saturating_mul(1000) {
        return Err(TokenError::Expired);
    }
    claims.scope().ok_or(TokenError::Invalid)
}

impl Claims {
    fn scope(self) -> Option<TokenScope> {
        Some(TokenScope {
            subscription: SubscriptionId::new(&self.sub).ok()?,
            life: self.life.parse().ok()?,
            generation: self.r#gen,
            purpose: match self.r#use {
                Purpose::Callback => TokenPurpose::Callback,
                Purpose::Claim => TokenPurpose::Claim,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_500);

    fn after(millis: i64) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() + millis)
    }

    fn scope(purpose: TokenPurpose) -> TokenScope {
        TokenScope {
            subscription: SubscriptionId::new("sub 1").unwrap(),
            life: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            generation: 7,
            purpose,
        }
    }

    #[test]
    fn a_token_gives_its_scope_back_until_it_expires() {
        for purpose in [TokenPurpose::Callback, TokenPurpose::Claim] {
            let token = issue(b"key", &scope(purpose), after(2_000));
            assert_eq!(verify(b"key", &token, NOW), Ok(scope(purpose)));
            assert_eq!(verify(b"key", &token, after(1_999)), Ok(scope(purpose)));
            assert_eq!(verify(b"key", &token, after(3_000)), Err(TokenError::Expired));
        }
    }

    #[test]
    fn a_token_of_another_key_is_invalid_even_if_it_has_expired() {
        let token = issue(b"another", &scope(TokenPurpose::Claim), after(1_000));
        for now in [NOW, after(10_000)] {
            assert_eq!(verify(b"key", &token, now), Err(TokenError::Invalid));
        }
        assert_eq!(verify(b"key", "", NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_that_is_ours_but_says_something_else_is_invalid() {
        for claims in [
            serde_json::json!({"sub": "s", "exp": 2_000_000_000}),
            serde_json::json!({"sub": "a/b", "life": "0", "gen": 1, "use": "claim", "exp": 2_000_000_000}),
            serde_json::json!({"sub": "s", "life": "x", "gen": 1, "use": "claim", "exp": 2_000_000_000}),
            serde_json::json!({"sub": "s", "life": "0", "gen": 1, "use": "admin", "exp": 2_000_000_000}),
        ] {
            let token = jwt::sign(b"key", &claims);
            assert_eq!(verify(b"key", &token, NOW), Err(TokenError::Invalid), "{claims}");
        }
    }
}
