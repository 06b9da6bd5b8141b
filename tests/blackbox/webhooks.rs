//! Workers that are woken by webhook: signatures, callbacks, retries, restarts, and what is rejected.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use streamkeeper_conformance::Server;
use streamkeeper_tests::binary::{PATIENT, Shared, address_of, start};
use streamkeeper_tests::receiver::Wake;
use streamkeeper_tests::stream::MOUNT;
use streamkeeper_tests::subscription::body;
use streamkeeper_tests::{Receiver, Request, Subscription, eventually};

/// A server that may call webhooks on this machine.
const DEVELOPMENT: &[&str] = &["--webhook-allow-localhost"];

/// Long enough never to expire in a test.
const LONG_LEASE: u64 = 600_000;

async fn jwks(subscription: &Subscription) -> Value {
    let request = Request::new("GET", format!("{MOUNT}/__ds/jwks.json"));
    let response = subscription.send(&request).await.expect(200).expect_browser_headers();
    assert_eq!(response.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(response.header("cache-control"), Some("public, max-age=300"));
    body(&response)
}

/// Verifies a delivery as a receiver does.
fn is_signed(wake: &Wake, jwks: &Value) -> bool {
    let parts: Vec<_> = wake.header("webhook-signature").splitn(3, ',').collect();
    let [time, kid, signature] = ["t=", "kid=", "ed25519="].map(|name| {
        let part = parts.iter().find_map(|part| part.strip_prefix(name));
        part.unwrap_or_else(|| panic!("no {name} in {parts:?}"))
    });
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid);
    let key = key.unwrap_or_else(|| panic!("{kid} is not published: {jwks}"));
    let public = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    let signed = [time.as_bytes(), b".", &wake.raw].concat();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ED25519, public).verify(&signed, &signature).is_ok()
}

/// The body of an ack of everything that a wake told of.
fn ack_of(wake: &Wake, done: bool) -> Value {
    let streams = wake.body["streams"].as_array().unwrap();
    let ack = |stream: &Value| json!({"stream": stream["path"], "offset": stream["tail_offset"]});
    json!({
        "wake_id": wake.body["wake_id"],
        "generation": wake.body["generation"],
        "acks": streams.iter().map(ack).collect::<Vec<_>>(),
        "done": done,
    })
}

#[tokio::test]
async fn a_wake_is_signed_with_a_published_key_and_done_acks_its_snapshot() {
    let server = Shared::with(DEVELOPMENT);
    let mut receiver = Receiver::answering(200, "{\"done\":true}").await;
    let subscription = Subscription::webhook(server.address(), &receiver.url(), LONG_LEASE).await;
    let tail = subscription.append("a").await;
    let wake = receiver.wake().await;
    let jwks = jwks(&subscription).await;
    assert!(is_signed(&wake, &jwks), "{}", wake.head);
    let mut forged = wake.clone();
    forged.raw.push(b' ');
    assert!(!is_signed(&forged, &jwks), "the check sees a change");
    assert!(wake.head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{}", wake.head);
    assert_eq!(wake.header("content-type"), "application/json");
    assert_eq!(wake.text("subscription_id"), subscription.id);
    let told = subscription.get().await;
    assert_eq!(told["webhook"]["signing"]["kid"], jwks["keys"][0]["kid"]);
    eventually("the snapshot is acked", async || {
        subscription.cursor("a").await.as_ref() == Some(&tail)
    })
    .await;
}

#[tokio::test]
async fn a_callback_acks_and_then_its_token_is_fenced() {
    let server = Shared::with(DEVELOPMENT);
    let mut receiver = Receiver::start().await;
    let subscription = Subscription::webhook(server.address(), &receiver.url(), LONG_LEASE).await;
    let tail = subscription.append("a").await;
    let wake = receiver.wake().await;
    let token = wake.text("callback_token");
    let url = wake.text("callback_url");
    assert!(url.ends_with(&format!("{}/callback", subscription.path)), "{url}");

    let none = subscription.post("callback", "", ack_of(&wake, true)).await;
    none.expect_problem(401, "token_invalid");
    let forged = format!("{}A", &token[..token.len() - 1]);
    let forged = match forged == token {
        true => format!("{}B", &token[..token.len() - 1]),
        false => forged,
    };
    let forged = subscription.post("callback", &forged, ack_of(&wake, true)).await;
    assert_eq!(forged.header("www-authenticate"), Some("Bearer"));
    forged.expect_problem(401, "token_invalid");
    // It wakes by webhook: there is nothing to claim, and a callback's token is none of a claim.
    subscription.claim("w").await.expect_problem(400, "invalid_request");
    let ack = subscription.post("ack", token, ack_of(&wake, true)).await;
    ack.expect_problem(401, "token_invalid");

    let alive = subscription.post("callback", token, ack_of(&wake, false)).await.expect(200);
    assert_eq!(body(&alive), json!({"ok": true, "next_wake": false}));
    assert_eq!(subscription.cursor("a").await, Some(tail));
    subscription.post("callback", token, ack_of(&wake, true)).await.expect(200);
    let fenced = subscription.post("callback", token, ack_of(&wake, true)).await.expect(409);
    assert_eq!(body(&fenced), json!({"error": {"code": "FENCED"}}));
    assert_eq!(fenced.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_delivery_that_failed_is_tried_again_with_the_same_wake() {
    let server = Shared::with(DEVELOPMENT);
    let mut receiver = Receiver::answering(500, "").await;
    let subscription = Subscription::webhook(server.address(), &receiver.url(), LONG_LEASE).await;
    let tail = subscription.append("a").await;
    let first = receiver.wake().await;
    eventually("the failure is told", async || subscription.get().await["status"] == "failed")
        .await;
    receiver.answer(200, "{\"done\":true}");
    let second = receiver.wake().await;
    assert_eq!(second.body["wake_id"], first.body["wake_id"]);
    assert_eq!(second.body["generation"], first.body["generation"]);
    assert!(is_signed(&second, &jwks(&subscription).await));
    eventually("it is active again", async || subscription.get().await["status"] == "active").await;
    eventually("the snapshot is acked", async || {
        subscription.cursor("a").await.as_ref() == Some(&tail)
    })
    .await;
}

#[tokio::test]
async fn the_key_the_wake_and_its_token_outlive_a_killed_server() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().join("data");
    let flags = ["--webhook-allow-localhost", "--data-dir", data_dir.to_str().unwrap()];
    let server = Server::start(&flags).unwrap();
    let mut receiver = Receiver::start().await;
    let mut subscription =
        Subscription::webhook(address_of(&server), &receiver.url(), LONG_LEASE).await;
    let tail = subscription.append("a").await;
    let wake = receiver.wake().await;
    let before = jwks(&subscription).await;
    // Once an ack was answered, the lease is durable.
    let token = wake.text("callback_token");
    let alive = json!({"wake_id": wake.body["wake_id"], "generation": wake.body["generation"]});
    subscription.post("callback", token, alive).await.expect(200);
    server.kill().unwrap();

    let server = Server::start(&flags).unwrap();
    subscription.address = address_of(&server);
    assert_eq!(jwks(&subscription).await, before);
    let done = subscription.post("callback", token, ack_of(&wake, true)).await.expect(200);
    assert_eq!(body(&done), json!({"ok": true, "next_wake": false}));
    assert_eq!(subscription.cursor("a").await, Some(tail));
    subscription.append("a").await;
    let next = receiver.wake().await;
    assert!(next.body["generation"].as_u64() > wake.body["generation"].as_u64());
    assert!(is_signed(&next, &before), "receivers need not fetch the keys again");
}

#[tokio::test]
async fn urls_that_lead_inside_are_rejected_when_they_are_given() {
    let production = Shared::with(PATIENT);
    let development = Shared::with(DEVELOPMENT);
    for (server, url) in [
        (&production, "http://127.0.0.1:9/"),
        (&production, "http://localhost/"),
        (&production, "https://127.0.0.1/"),
        (&production, "https://0x7f.1/"),
        (&production, "https://169.254.169.254/latest/meta-data/"),
        (&production, "https://[::ffff:10.0.0.1]/"),
        (&production, "https://user@worker.example/"),
        (&production, "http://worker.example/"),
        (&development, "http://10.0.0.1/hook"),
        (&development, "https://localhost/"),
        (&development, "http://[::1]/"),
        (&development, "ftp://localhost/"),
    ] {
        let subscription = Subscription::fresh(server.address());
        let config = subscription.webhook_config(url, LONG_LEASE);
        let rejected = subscription.put(config).await.expect_problem(400, "webhook_url_rejected");
        assert_eq!(body(&rejected)["error"]["code"], "WEBHOOK_URL_REJECTED", "{url}");
        let absent = subscription.send(&Request::new("GET", &subscription.path)).await;
        absent.expect_problem(404, "subscription_not_found");
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_leads_nowhere() {
    let server = Shared::with(DEVELOPMENT);
    let mut inside = Receiver::answering(200, "{\"done\":true}").await;
    let location = format!("{}\r\n\r\n", inside.url());
    let mut receiver = Receiver::start().await;
    receiver.answer_raw(&format!("HTTP/1.1 307 X\r\nContent-Length: 0\r\nLocation: {location}"));
    let subscription = Subscription::webhook(server.address(), &receiver.url(), LONG_LEASE).await;
    subscription.append("a").await;
    receiver.wake().await;
    eventually("the failure is told", async || subscription.get().await["status"] == "failed")
        .await;
    assert!(inside.has_come().is_none());
}

#[tokio::test]
async fn urls_begin_with_the_public_one() {
    let server =
        start(&["--webhook-allow-localhost", "--public-url", "https://streams.example/x/"]);
    let mut receiver = Receiver::start().await;
    let subscription =
        Subscription::webhook(address_of(&server), &receiver.url(), LONG_LEASE).await;
    subscription.append("a").await;
    let base = "https://streams.example/x/v1/stream/__ds";
    let wake = receiver.wake().await;
    let callback = format!("{base}/subscriptions/{}/callback", subscription.id);
    assert_eq!(wake.text("callback_url"), callback);
    let signing = &subscription.get().await["webhook"]["signing"];
    assert_eq!(signing["jwks_url"], format!("{base}/jwks.json"));
}
