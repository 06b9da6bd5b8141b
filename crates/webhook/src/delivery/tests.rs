//! Deliveries to receivers on loopback that speak TLS, redirect, talk too much, or not at all.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;
use crate::guard::UrlPolicy;

/// A listener on loopback, and its address.
async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Takes one connection, reads one request, answers with `answer`, and gives the request.
async fn receive(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"BODY") {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    stream.write_all(answer).await.unwrap();
    // A client that has seen enough may be gone.
    let _ = stream.shutdown().await;
    String::from_utf8(request).unwrap()
}

fn tls(roots: &[&CertifiedKey<rcgen::KeyPair>]) -> Tls {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.cert.der().clone()).unwrap();
    }
    Tls::with_roots(store).unwrap()
}

/// The URL's name is whatever it is: the connection goes to `address`, as the guard would have said.
async fn send(url: &str, address: SocketAddr, tls: &Tls) -> Result<Answer, NoAnswer> {
    let url = UrlPolicy { allow_localhost: true }.judge(url).unwrap();
    let delivery = Delivery {
        url: &url,
        addresses: &[address],
        signature: "t=1,kid=k,ed25519=s".to_owned(),
        body: Bytes::from_static(b"BODY"),
        connect_timeout: Duration::from_secs(10),
        max_response_bytes: 100,
    };
    delivery.send(tls).await
}

fn certificate(name: &str) -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed([name.to_owned()]).unwrap()
}

fn acceptor(key: &CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn the_connection_goes_to_the_judged_address_and_tls_to_the_name() {
    let (listener, address) = listen().await;
    let key = certificate("worker.example");
    let acceptor = acceptor(&key);
    let receiver = tokio::spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let name = stream.get_ref().1.server_name().map(str::to_owned);
        (name, receive(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await)
    });
    // Nobody could resolve this name.
    let url = "https://worker.example:8443/hooks?a=b";
    let answer = send(url, address, &tls(&[&key])).await.unwrap();
    assert_eq!((answer.status, answer.body.as_deref()), (StatusCode::OK, Some(&b"{}"[..])));
    let (name, request) = receiver.await.unwrap();
    assert_eq!(name.as_deref(), Some("worker.example"));
    assert!(request.starts_with("POST /hooks?a=b HTTP/1.1\r\n"), "{request}");
    for header in [
        "host: worker.example:8443\r\n",
        "content-type: application/json\r\n",
        "webhook-signature: t=1,kid=k,ed25519=s\r\n",
        "content-length: 4\r\n",
    ] {
        assert!(request.contains(header), "{header} in {request}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_or_by_nobody_known_is_refused() {
    let other = certificate("other.example");
    let named = certificate("worker.example");
    for (presented, trusted) in [(&other, &other), (&named, &other)] {
        let (listener, address) = listen().await;
        let acceptor = acceptor(presented);
        let receiver = tokio::spawn(async move {
            acceptor.accept(listener.accept().await.unwrap().0).await.is_ok()
        });
        let refused = send("https://worker.example/", address, &tls(&[trusted])).await;
        assert!(matches!(refused, Err(NoAnswer::Tls(_))), "{refused:?}");
        assert!(!receiver.await.unwrap(), "no request was sent");
    }
}

/// Sends over plain HTTP to a receiver that answers with these bytes.
async fn answered(answer: &'static [u8]) -> Result<Answer, NoAnswer> {
    let (listener, address) = listen().await;
    let receiver =
        tokio::spawn(async move { receive(listener.accept().await.unwrap().0, answer).await });
    let result = send(&format!("http://{address}/"), address, &tls(&[])).await;
    receiver.await.unwrap();
    result
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let answer = answered(
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/\r\n\
          content-length: 0\r\n\r\n",
    );
    assert_eq!(answer.await.unwrap().status, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit_only() {
    let short = answered(b"HTTP/1.1 200 OK\r\n\r\n{\"done\":true}").await.unwrap();
    assert_eq!(short.body.as_deref(), Some(&b"{\"done\":true}"[..]));
    let long: &[u8] = Box::leak([b"HTTP/1.1 200 OK\r\n\r\n", &[b' '; 101][..]].concat().into());
    assert_eq!(answered(long).await.unwrap().body, None);
}

#[tokio::test]
async fn a_head_without_end_and_broken_answers_are_no_answers() {
    let head = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &vec![b'x'; MAX_HEAD_BYTES * 2]].concat();
    for answer in [
        b"".as_slice(),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"done\":true}",
        Box::leak(head.into()),
    ] {
        let (listener, address) = listen().await;
        let receiver = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            // The client hangs up in the middle.
            let _ = stream.write_all(answer).await;
        });
        let refused = send(&format!("http://{address}/"), address, &tls(&[])).await;
        assert!(matches!(refused, Err(NoAnswer::Http(_))), "{refused:?}");
        receiver.await.unwrap();
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let (listener, address) = listen().await;
    let (closed, refusing) = listen().await;
    drop(closed);
    let receiver = tokio::spawn(async move { listener.accept().await.unwrap() });
    let stream = connect(&[refusing, address], Duration::from_secs(10)).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    receiver.await.unwrap();
    assert!(connect(&[refusing], Duration::from_secs(10)).await.is_err());
}
