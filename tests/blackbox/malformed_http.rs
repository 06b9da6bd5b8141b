//! Bytes that are hardly HTTP: answered or cut off, never taken for something else, and nobody else
//! suffers.

use std::time::Duration;

use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::stream::fresh_name;
use streamkeeper_tests::{Connection, Request, Stream, within};
use tokio::time::sleep;

#[tokio::test]
async fn what_is_no_http_is_refused_and_the_server_lives_on() {
    let server = Shared::with(PATIENT);
    let path = format!("/v1/stream/{}", fresh_name());
    let requests: Vec<Vec<u8>> = vec![
        b"\r\n\r\n\r\n".to_vec(),
        b"nonsense\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        format!("GET {path}\r\n\r\n").into_bytes(),
        format!("GET {path} HTTP/9.9\r\n\r\n").into_bytes(),
        format!("GET {path} HTTP/1.1\r\nno colon\r\n\r\n").into_bytes(),
        format!("GET {path} HTTP/1.1\r\nbad name: x\r\n\r\n").into_bytes(),
        format!("GET {path} HTTP/1.1\r\nX: a\0b\r\n\r\n").into_bytes(),
        format!("PUT {path} HTTP/1.1\r\nContent-Length: -1\r\n\r\n").into_bytes(),
        format!("PUT {path} HTTP/1.1\r\nContent-Length: x\r\n\r\n").into_bytes(),
        format!("PUT {path} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
            .into_bytes(),
        format!("PUT {path} HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n").into_bytes(),
        format!("GET {path} HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)).into_bytes(),
        format!("GET {path} HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(2000)).into_bytes(),
        vec![0xff; 4096],
    ];
    for request in requests {
        let mut connection = Connection::open(server.address()).await;
        connection.write(&request).await;
        connection.half_close().await;
        let answer = connection.until_end().await;
        let shown = request[..request.len().min(60)].escape_ascii();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{shown}: {answer:?}");
        let stream = Stream::at(server.address(), &path, "text/plain");
        assert_eq!(stream.head().await.status, 404, "{shown} created something");
    }
}

#[tokio::test]
async fn bad_chunks_append_nothing() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let head = stream.post("").head("Transfer-Encoding: chunked\r\n");
    let bodies: &[&[u8]] = &[
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"5\r\nhel",
        b"",
    ];
    for body in bodies {
        let mut connection = Connection::open(stream.address).await;
        connection.write(&[head.as_slice(), body].concat()).await;
        connection.half_close().await;
        if let Some(response) = connection.try_response("POST").await {
            assert_eq!(response.status, 400, "{}: {response:?}", body.escape_ascii());
        }
        connection.until_end().await;
    }
    assert_eq!(stream.text().await, "");
}

#[tokio::test]
async fn a_body_that_is_cut_off_appends_nothing() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let whole = stream.post("all or nothing").producer("p", 0, 0).encode();
    for missing in [1, 5, 13] {
        let mut connection = Connection::open(stream.address).await;
        connection.write(&whole[..whole.len() - missing]).await;
        connection.half_close().await;
        if let Some(response) = connection.try_response("POST").await {
            response.expect_problem(400, "incomplete_body");
        }
        // And once more without the courtesy of an end.
        let mut connection = Connection::open(stream.address).await;
        connection.write(&whole[..whole.len() - missing]).await;
        drop(connection);
    }
    sleep(Duration::from_millis(50)).await;
    assert_eq!(stream.text().await, "");
    let mut connection = Connection::open(stream.address).await;
    connection.write(&whole).await;
    connection.response("POST").await.expect(200);
    assert_eq!(stream.text().await, "all or nothing");
}

#[tokio::test]
async fn a_client_that_ends_its_writing_side_still_gets_its_answer() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut connection = Connection::open(stream.address).await;
    connection.write(&stream.post("hello").encode()).await;
    connection.half_close().await;
    // Whether a server answers then is its own choice; the append must be whole or not there.
    let answered = connection.try_response("POST").await;
    let text = stream.text().await;
    match answered {
        Some(response) => assert_eq!((response.status, text.as_str()), (204, "hello")),
        None => assert!(text.is_empty() || text == "hello"),
    }
}

#[tokio::test]
async fn a_body_where_none_belongs_is_never_taken_for_a_request() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("safe").await;
    let smuggled = Request::new("DELETE", &stream.path).encode();
    for method in ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS"] {
        let mut path = stream.path.clone();
        if method == "DELETE" {
            path.push_str("-other");
        }
        let mut connection = Connection::open(stream.address).await;
        let request = Request::new(method, path).body(smuggled.clone());
        connection.write(&request.encode()).await;
        connection.response(method).await;
        connection.half_close().await;
        connection.until_end().await;
        assert_eq!(stream.text().await, "safe", "{method}");
    }
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_a_request() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut connection = Connection::open(stream.address).await;
    for byte in stream.post("slow").encode() {
        connection.write(&[byte]).await;
    }
    connection.response("POST").await.expect(204);
    for byte in stream.post("").encode_chunked(&[b"and ", b"s", b"teady"]) {
        connection.write(&[byte]).await;
    }
    connection.response("POST").await.expect(204);
    assert_eq!(stream.text().await, "slowand steady");
}

#[tokio::test]
async fn clients_that_never_finish_a_request_do_not_hold_others_up() {
    let server = Shared::with(PATIENT);
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut connection = Connection::open(server.address()).await;
        connection.write(b"POST /v1/stream/x HTTP/1.1\r\nHost: ").await;
        idle.push(connection);
    }
    let stream = Stream::create(server.address(), "text/plain").await;
    within("an append beside idle clients", stream.append("x")).await;
    drop(idle);
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_with_408() {
    let server = Shared::with(&["--body-timeout", "300ms"]);
    let stream = Stream::create(server.address(), "text/plain").await;
    let whole = stream.post("stalled").encode();
    let mut connection = Connection::open(stream.address).await;
    connection.write(&whole[..whole.len() - 3]).await;
    let response = connection.response("POST").await.expect_problem(408, "body_timeout");
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(connection.until_end().await, b"");
    assert_eq!(stream.text().await, "");
}

#[tokio::test]
async fn a_path_in_raw_utf8_is_the_encoded_path_or_refused() {
    let server = Shared::with(PATIENT);
    let name = fresh_name();
    let encoded = Stream::at(server.address(), format!("/v1/stream/{name}/%C3%A9"), "text/plain");
    encoded.send(&encoded.put()).await.expect(201);
    let raw = Stream::at(server.address(), format!("/v1/stream/{name}/é"), "text/plain");
    assert!(matches!(raw.head().await.status, 200 | 400));
    let mut connection = Connection::open(server.address()).await;
    connection.write(b"GET /v1/stream/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let answered = connection.try_response("GET").await;
    assert!(answered.is_none_or(|response| response.status == 400), "refused, or cut off");
}
