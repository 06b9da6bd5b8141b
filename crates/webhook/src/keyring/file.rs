//! The file of the keys: a private JWK Set (RFC 7517, RFC 8037), readable by its owner only.
//!
//! It is replaced as a whole, by a rename, so a crash leaves the old keys or the new ones.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use streamkeeper::Timestamp;

use super::KeyringError;
use super::key::{SEED_BYTES, SigningKey};
use super::keys::Keys;

const FILE: &str = "webhook-keys.json";
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Where the keys are kept.
#[derive(Debug)]
pub(super) struct KeyFile {
    dir: PathBuf,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// Signs tokens with HMAC-SHA-256.
    token: TokenKey,
    /// Sign deliveries; oldest first.
    keys: Vec<PrivateKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenKey {
    kty: String,
    alg: String,
    k: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivateKey {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    d: String,
    active_from: String,
}

impl KeyFile {
    /// The file in a directory, which is created if need be; both are the owner's alone afterwards.
    pub(super) fn open(dir: &Path) -> Result<Self, KeyringError> {
        let created = DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir);
        created.map_err(|error| KeyringError::io(dir, error))?;
        tighten(dir, DIR_MODE)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The keys, if any were written.
    pub(super) fn read(&self) -> Result<Option<Keys>, KeyringError> {
        let path = self.path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeyringError::io(&path, error)),
        };
        tighten(&path, FILE_MODE)?;
        let content: Result<Content, _> = serde_json::from_str(&text);
        let keys = content.ok().and_then(|content| content.keys());
        keys.map(Some).ok_or(KeyringError::Damaged(path))
    }

    /// Replaces the keys; durable when it returns.
    pub(super) fn write(&self, keys: &Keys) -> Result<(), KeyringError> {
        let path = self.path();
        let text = serde_json::to_vec_pretty(&Content::of(keys)).unwrap_or_default();
        self.replace(&path, &text).map_err(|error| KeyringError::io(&path, error))
    }

    fn replace(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let draft = path.with_extension("tmp");
        // One that a crash left behind may have another mode.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&draft)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(&self.dir)?.sync_all()
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}

impl Content {
    fn of(keys: &Keys) -> Self {
        let token = TokenKey {
            kty: "oct".to_owned(),
            alg: "HS256".to_owned(),
            k: URL_SAFE_NO_PAD.encode(keys.token),
        };
        Self { token, keys: keys.signing.iter().map(|key| PrivateKey::of(key)).collect() }
    }

    /// `None` if anything is not as it was written.
    fn keys(&self) -> Option<Keys> {
        let token = bytes(&self.token.k)?;
        let signing: Option<Vec<_>> = self.keys.iter().map(PrivateKey::key).collect();
        let signing = signing.filter(|keys| !keys.is_empty())?;
        let sorted = signing.is_sorted_by_key(|key| key.active_from);
        sorted.then_some(Keys { token, signing })
    }
}

impl PrivateKey {
    fn of(key: &SigningKey) -> Self {
        let jwk = key.jwk();
        Self {
            kty: jwk.kty.to_owned(),
            crv: jwk.crv.to_owned(),
            kid: jwk.kid.clone(),
            x: jwk.x.clone(),
            d: URL_SAFE_NO_PAD.encode(key.seed),
            active_from: key.active_from.to_rfc3339(),
        }
    }

    fn key(&self) -> Option<Arc<SigningKey>> {
        let active_from = Timestamp::parse_rfc3339(&self.active_from).ok()?;
        let key = SigningKey::from_seed(bytes(&self.d)?, active_from)?;
        // The public half says whether the private one is intact.
        (key.kid() == self.kid && key.jwk().x == self.x).then(|| Arc::new(key))
    }
}

fn bytes(text: &str) -> Option<[u8; SEED_BYTES]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Takes rights that others have away. (Volumes that are mounted for a group come with such rights.)
fn tighten(path: &Path, mode: u32) -> Result<(), KeyringError> {
    let failed = |error| KeyringError::io(path, error);
    let found = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if found & !mode == 0 {
        return Ok(());
    }
    let path_shown = path.display();
    tracing::warn!(path = %path_shown, "keys could be read by others (mode {found:o}); taken away");
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)
}
