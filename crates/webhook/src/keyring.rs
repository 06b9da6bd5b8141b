//! The keys of a server: kept in a file, replaced in time, never shown.

mod file;
mod key;
mod keys;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use streamkeeper::Timestamp;

use self::file::KeyFile;
use self::key::{Jwk, SEED_BYTES, SigningKey};
use self::keys::Keys;

pub use self::keys::{PUBLISH_AHEAD, REPLAY_WINDOW};

/// How keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyOptions {
    /// How long a key signs before another one takes over. Default: 90 days.
    pub lifetime: Duration,
}

impl Default for KeyOptions {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(90 * 24 * 3600) }
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file or its directory cannot be used.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not one that we wrote, or was changed.
    #[error("{}: not a file of keys, or damaged. Restore it, or remove it to have new keys made: \
             receivers fetch the new public key, and wakes under way are delivered again", _0.display())]
    Damaged(PathBuf),
    /// The operating system gave no random bytes.
    #[error("the operating system has no random bytes for a key")]
    NoRandomness,
}

impl KeyringError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }
}

/// The keys that sign deliveries (Ed25519) and tokens (HMAC-SHA-256).
///
/// A delivery is signed by the *active* key. A key is replaced when it has lived for
/// [`KeyOptions::lifetime`], or by [`rotate`](Self::rotate): its successor is published first, takes over after
/// [`PUBLISH_AHEAD`], and the old public key stays published for [`REPLAY_WINDOW`] after that.
pub struct Keyring {
    current: RwLock<Arc<Keys>>,
    /// `None`: the keys end with the process. Held while keys are replaced.
    file: Mutex<Option<KeyFile>>,
    options: KeyOptions,
}

#[derive(Serialize)]
struct JwkSet<'a> {
    keys: Vec<&'a Jwk>,
}

impl Keyring {
    /// The keys in a directory; new ones if there are none.
    ///
    /// The directory is created with mode 0700 and the file in it with 0600. The caller sees to it
    /// that no other process uses the directory. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// The directory or the file cannot be used, or the file is damaged. It is never replaced then.
    pub fn open(dir: &Path, options: KeyOptions, now: Timestamp) -> Result<Self, KeyringError> {
        let file = KeyFile::open(dir)?;
        let keys = match file.read()? {
            Some(keys) => keys,
            None => {
                let keys = generate(now)?;
                file.write(&keys)?;
                keys
            }
        };
        let keyring = Self::new(keys, Some(file), options);
        keyring.tend(now)?;
        Ok(keyring)
    }

    /// Keys that end with the process.
    ///
    /// # Errors
    ///
    /// [`KeyringError::NoRandomness`].
    pub fn ephemeral(options: KeyOptions, now: Timestamp) -> Result<Self, KeyringError> {
        Ok(Self::new(generate(now)?, None, options))
    }

    fn new(keys: Keys, file: Option<KeyFile>, options: KeyOptions) -> Self {
        Self { current: RwLock::new(Arc::new(keys)), file: Mutex::new(file), options }
    }

    /// The id of the key that signs now.
    pub fn kid(&self, now: Timestamp) -> String {
        self.keys().active(now).map_or_else(String::new, |key| key.kid().to_owned())
    }

    /// The value of `Webhook-Signature` for a body that is sent now (PROTOCOL.md section 7.1).
    pub fn signature(&self, body: &[u8], now: Timestamp) -> String {
        self.keys().active(now).map_or_else(String::new, |key| key.signature(body, now))
    }

    /// The public keys as a JWK Set, in JSON (PROTOCOL.md section 6.5).
    pub fn jwks(&self, now: Timestamp) -> String {
        let keys = self.keys();
        let set = JwkSet { keys: keys.published(now).map(|key| key.jwk()).collect() };
        serde_json::to_string(&set).unwrap_or_default()
    }

    /// Whether [`tend`](Self::tend) has something to do.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.keys().is_due(self.options.lifetime, now)
    }

    /// Replaces the active key if it has lived its time. Blocks on the disk if so.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open). The keys are then as they were.
    pub fn tend(&self, now: Timestamp) -> Result<(), KeyringError> {
        let file = self.file.lock();
        // Another caller may have been here first.
        match self.is_due(now) {
            true => self.replace(file.as_ref(), now),
            false => Ok(()),
        }
    }

    /// Has another key take over soon. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open). The keys are then as they were.
    pub fn rotate(&self, now: Timestamp) -> Result<(), KeyringError> {
        let file = self.file.lock();
        self.replace(file.as_ref(), now)
    }

    fn replace(&self, file: Option<&KeyFile>, now: Timestamp) -> Result<(), KeyringError> {
        let keys = self.keys().rotated(random()?, now).ok_or(KeyringError::NoRandomness)?;
        if let Some(file) = file {
            file.write(&keys)?;
        }
        let kid = keys.signing.last().map_or("", |key| key.kid());
        tracing::info!(kid, after = ?PUBLISH_AHEAD, "a new webhook signing key takes over soon");
        *self.current.write() = Arc::new(keys);
        Ok(())
    }

    /// What signs tokens.
    pub(crate) fn token_key(&self) -> [u8; SEED_BYTES] {
        self.keys().token
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.current.read())
    }
}

/// Keys are not for logs.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("options", &self.options).finish_non_exhaustive()
    }
}

fn generate(now: Timestamp) -> Result<Keys, KeyringError> {
    let key = SigningKey::from_seed(random()?, now).ok_or(KeyringError::NoRandomness)?;
    Ok(Keys { token: random()?, signing: vec![Arc::new(key)] })
}

/// Keys must not be guessed, so this is the operating system's randomness and no seeded one.
fn random() -> Result<[u8; SEED_BYTES], KeyringError> {
    let mut bytes = [0; SEED_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyringError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
