//! What a keyring keeps over a restart, and from whom.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

const DAY: i64 = 24 * 3_600_000;
const NOW: Timestamp = Timestamp::from_millis(1_000 * DAY);

fn at(days: i64, millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + days * DAY + millis)
}

fn open(dir: &Path, now: Timestamp) -> Keyring {
    Keyring::open(dir, KeyOptions::default(), now).unwrap()
}

fn kids(keyring: &Keyring, now: Timestamp) -> Vec<String> {
    let set: serde_json::Value = serde_json::from_str(&keyring.jwks(now)).unwrap();
    let keys = set["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (kid, jwks, token) = {
        let keyring = open(dir.path(), NOW);
        (keyring.kid(NOW), keyring.jwks(NOW), keyring.token_key())
    };
    let again = open(dir.path(), at(1, 0));
    assert_eq!((again.kid(at(1, 0)), again.jwks(at(1, 0)), again.token_key()), (kid, jwks, token));
}

#[test]
fn the_directory_and_the_file_are_the_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("deep/keys");
    open(&dir, NOW).rotate(NOW).unwrap();
    let file = dir.join("webhook-keys.json");
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    // A volume that was mounted for a group.
    fs::set_permissions(&dir, Permissions::from_mode(0o770)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
    open(&dir, NOW);
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing but the file is left");
}

#[test]
fn a_rotation_survives_a_restart_at_every_step_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), NOW);
    let old = first.kid(NOW);
    first.rotate(NOW).unwrap();
    let ahead = i64::try_from(PUBLISH_AHEAD.as_millis()).unwrap();
    let window = i64::try_from(REPLAY_WINDOW.as_millis()).unwrap();
    let new = first.kid(at(0, ahead));
    assert_ne!(old, new);
    for (now, active, known) in [
        (at(0, ahead - 1), &old, vec![&old, &new]),
        (at(0, ahead), &new, vec![&old, &new]),
        (at(0, ahead + window - 1), &new, vec![&old, &new]),
        (at(0, ahead + window), &new, vec![&new]),
    ] {
        let keyring = open(dir.path(), now);
        assert_eq!(&keyring.kid(now), active);
        assert_eq!(kids(&keyring, now).iter().collect::<Vec<_>>(), known);
    }
}

#[test]
fn a_key_that_has_lived_its_time_is_replaced_once() {
    let keyring = Keyring::ephemeral(KeyOptions::default(), NOW).unwrap();
    let old = keyring.kid(NOW);
    keyring.tend(at(89, 0)).unwrap();
    assert_eq!(kids(&keyring, at(89, 0)), [old.as_str()]);
    assert!(keyring.is_due(at(90, 0)));
    keyring.tend(at(90, 0)).unwrap();
    keyring.tend(at(90, 0)).unwrap();
    assert_eq!(kids(&keyring, at(90, 0)).len(), 2);
    assert_ne!(keyring.kid(at(91, 0)), old);
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), NOW);
    let path = dir.path().join("webhook-keys.json");
    let intact = fs::read_to_string(&path).unwrap();
    let seed = intact.split("\"d\": \"").nth(1).unwrap().split('"').next().unwrap();
    let other = "A".repeat(seed.len());
    for damaged in [
        String::new(),
        "{}".to_owned(),
        intact[..intact.len() / 2].to_owned(),
        intact.replace(seed, &other),
        intact.replace("\"d\"", "\"e\""),
    ] {
        fs::write(&path, &damaged).unwrap();
        let refused = Keyring::open(dir.path(), KeyOptions::default(), NOW);
        assert!(matches!(refused, Err(KeyringError::Damaged(_))), "{damaged}");
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn a_rotation_that_cannot_be_written_changes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("keys");
    let keyring = open(&dir, NOW);
    let before = keyring.jwks(NOW);
    fs::remove_dir_all(&dir).unwrap();
    assert!(matches!(keyring.rotate(NOW), Err(KeyringError::Io { .. })));
    assert_eq!(keyring.jwks(NOW), before);
}

#[test]
fn nothing_secret_is_published_or_shown() {
    let keyring = Keyring::ephemeral(KeyOptions::default(), NOW).unwrap();
    let set: serde_json::Value = serde_json::from_str(&keyring.jwks(NOW)).unwrap();
    let fields: Vec<_> = set["keys"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["alg", "crv", "kid", "kty", "use", "x"]);
    assert!(!format!("{keyring:?}").contains("token"));
}
