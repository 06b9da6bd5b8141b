//! Deliveries and tokens as their caller sees them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::keyring::KeyOptions;
use streamkeeper::TokenPurpose;
use streamkeeper::protocol::subscription::SubscriptionId;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_500);

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Answers every question with the same address.
struct Always(IpAddr);

#[async_trait]
impl Resolve for Always {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<IpAddr>> {
        Ok(vec![self.0])
    }
}

fn webhooks(keyring: Keyring) -> SignedWebhooks {
    SignedWebhooks::new(keyring, UrlPolicy { allow_localhost: true }, Arc::new(Still)).unwrap()
}

fn ephemeral() -> SignedWebhooks {
    webhooks(Keyring::ephemeral(KeyOptions::default(), NOW).unwrap())
}

fn scope() -> TokenScope {
    TokenScope {
        subscription: SubscriptionId::new("sub-1").unwrap(),
        life: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        generation: 7,
        purpose: TokenPurpose::Callback,
    }
}

fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + millis)
}

/// A receiver that answers every request so. It ends with the test's runtime.
async fn receiver(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_delivery_is_done_accepted_or_failed() {
    for (answer, expected) in [
        ("200 OK\r\n\r\n{\"done\":true}", Some(WebhookOutcome::Done)),
        ("201 Created\r\n\r\n{\"done\": true, \"x\": 1}", Some(WebhookOutcome::Done)),
        ("200 OK\r\n\r\n{\"done\":false}", Some(WebhookOutcome::Accepted)),
        ("200 OK\r\n\r\n{\"done\":\"true\"}", Some(WebhookOutcome::Accepted)),
        ("200 OK\r\n\r\ndone", Some(WebhookOutcome::Accepted)),
        ("202 Accepted\r\ncontent-length: 0\r\n\r\n", Some(WebhookOutcome::Accepted)),
        ("204 No Content\r\n\r\n", Some(WebhookOutcome::Accepted)),
        ("302 Found\r\nlocation: /\r\n\r\n{\"done\":true}", None),
        ("400 Bad Request\r\n\r\n{\"done\":true}", None),
        ("500 Oops\r\n\r\n{\"done\":true}", None),
    ] {
        let address = receiver(Box::leak(format!("HTTP/1.1 {answer}").into())).await;
        let url = format!("http://{address}/");
        let outcome = ephemeral().deliver(&url, Bytes::from_static(b"{}")).await;
        match expected {
            Some(expected) => assert_eq!(outcome, expected, "{answer}"),
            None => assert!(matches!(outcome, WebhookOutcome::Failed(_)), "{answer}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_at_delivery() {
    let address = receiver("HTTP/1.1 200 OK\r\n\r\n").await;
    let webhooks = ephemeral().resolver(Always(address.ip()));
    let url = format!("https://rebind.example:{}/", address.port());
    assert_eq!(webhooks.check_url(&url), Ok(()));
    let outcome = webhooks.deliver(&url, Bytes::new()).await;
    let WebhookOutcome::Failed(why) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("loopback"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let outcome = ephemeral().deliver(&url, Bytes::new()).await;
    assert!(matches!(outcome, WebhookOutcome::Failed(_)), "{outcome:?}");
}

#[tokio::test]
async fn tokens_survive_a_restart_and_a_rotation_of_the_signing_key() {
    let dir = tempfile::tempdir().unwrap();
    let open = || webhooks(Keyring::open(dir.path(), KeyOptions::default(), NOW).unwrap());
    let token = open().issue_token(&scope(), after(60_000));
    open().keyring().rotate(NOW).unwrap();
    assert_eq!(open().verify_token(&token, NOW), Ok(scope()));
}

#[tokio::test]
async fn the_signing_key_is_replaced_when_a_delivery_finds_it_old() {
    let made = Timestamp::from_millis(NOW.as_millis() - 91 * 24 * 3_600_000);
    let webhooks = webhooks(Keyring::ephemeral(KeyOptions::default(), made).unwrap());
    let old = webhooks.kid();
    let address = receiver("HTTP/1.1 200 OK\r\n\r\n").await;
    webhooks.deliver(&format!("http://{address}/"), Bytes::new()).await;
    assert_eq!(webhooks.kid(), old, "its successor is only published yet");
    assert_eq!(webhooks.jwks().matches("\"kid\"").count(), 2);
}
