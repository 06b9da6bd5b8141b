//! Bodies at and beyond `--max-body`: refused with an answer that the client gets to read.

use streamkeeper_tests::binary::Shared;
use streamkeeper_tests::request::chunk_of;
use streamkeeper_tests::{Connection, Stream};

const FLAGS: &[&str] = &["--max-body", "64KiB"];
const LIMIT: usize = 64 << 10;

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let server = Shared::with(FLAGS);
    let stream = Stream::create(server.address(), "application/octet-stream").await;
    stream.append(vec![7; LIMIT]).await;
    let mut connection = Connection::open(stream.address).await;
    let halves = vec![8; LIMIT / 2];
    connection.write(&stream.post("").encode_chunked(&[&halves, &halves])).await;
    connection.response("POST").await.expect(204);
    let created = Stream::fresh(server.address(), "application/octet-stream");
    created.send(&created.put().body(vec![9; LIMIT])).await.expect(201);
    assert_eq!(stream.bytes().await.len(), 2 * LIMIT);
}

#[tokio::test]
async fn a_longer_body_is_refused_and_the_connection_goes_on() {
    let server = Shared::with(FLAGS);
    let stream = Stream::create(server.address(), "application/octet-stream").await;
    let mut connection = Connection::open(stream.address).await;
    for size in [LIMIT + 1, 1 << 20, 10 << 20] {
        let response = connection.send(&stream.post(vec![7; size])).await;
        response.expect_problem(413, "body_too_large");
        connection.send(&stream.post("between")).await.expect(204);
    }
    let created = Stream::fresh(server.address(), "application/octet-stream");
    let put = created.put().body(vec![7; LIMIT + 1]);
    connection.send(&put).await.expect_problem(413, "body_too_large");
    assert_eq!(created.head().await.status, 404);
    assert_eq!(stream.text().await, "betweenbetweenbetween");
}

#[tokio::test]
async fn a_chunked_body_is_refused_where_it_becomes_too_long() {
    let server = Shared::with(FLAGS);
    let stream = Stream::create(server.address(), "application/octet-stream").await;
    let mut connection = Connection::open(stream.address).await;
    let chunk = vec![7; 10_000];
    for count in [7, 100, 1000] {
        let chunks: Vec<&[u8]> = (0..count).map(|_| chunk.as_slice()).collect();
        connection.write(&stream.post("").producer("p", 0, 0).encode_chunked(&chunks)).await;
        connection.response("POST").await.expect_problem(413, "body_too_large");
        connection.send(&stream.get("")).await.expect(200);
    }
    // The producer's first append was never accepted.
    connection.send(&stream.post("first").producer("p", 0, 0)).await.expect(200);
    assert_eq!(stream.text().await, "first");
}

#[tokio::test]
async fn the_error_comes_whoever_the_body_was_for() {
    let server = Shared::with(FLAGS);
    let missing = Stream::fresh(server.address(), "text/plain");
    let response = missing.send(&missing.post(vec![b'x'; LIMIT + 1])).await;
    assert!(matches!(response.status, 404 | 413), "{response:?}");
    let reserved = Stream::at(server.address(), "/v1/stream/__ds/x", "text/plain");
    let response = reserved.send(&reserved.post(vec![b'x'; 10 << 20])).await;
    assert!(matches!(response.status, 404 | 413), "{response:?}");
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_or_the_final_answer() {
    let server = Shared::with(FLAGS);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut connection = Connection::open(stream.address).await;
    let post = stream.post("").header("Expect", "100-continue");
    connection.write(&post.head("Content-Length: 5\r\n")).await;
    assert_eq!(connection.head().await.unwrap().status, 100);
    connection.write(b"hello").await;
    connection.response("POST").await.expect(204);
    // Too long: the client is told before it sends anything.
    connection.write(&post.head(&format!("Content-Length: {}\r\n", 1 << 30))).await;
    let head = connection.head().await.unwrap();
    assert_eq!(head.status, 413, "{head:?}");
    assert_eq!(stream.text().await, "hello");
}

#[tokio::test]
async fn a_client_that_claims_a_huge_body_and_sends_none_holds_nothing_up() {
    let server = Shared::with(FLAGS);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut claims = Vec::new();
    for length in ["65537", "18446744073709551614", "9223372036854775807"] {
        let mut connection = Connection::open(stream.address).await;
        connection.write(&stream.post("").head(&format!("Content-Length: {length}\r\n"))).await;
        claims.push(connection);
    }
    stream.append("x").await;
    for mut connection in claims {
        connection.half_close().await;
        let rest = connection.until_end().await;
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"), "{}", rest.escape_ascii());
    }
    assert_eq!(stream.text().await, "x");
}

#[tokio::test]
async fn many_large_bodies_at_once_are_all_taken() {
    let server = Shared::with(FLAGS);
    let stream = Stream::create(server.address(), "application/octet-stream").await;
    let sends = (0..16).map(|i| {
        let stream = stream.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(stream.address).await;
            connection.write(&stream.post("").head("Transfer-Encoding: chunked\r\n")).await;
            for _ in 0..8 {
                connection.write(&chunk_of(&vec![i; LIMIT / 8])).await;
                tokio::task::yield_now().await;
            }
            connection.write(b"0\r\n\r\n").await;
            connection.response("POST").await.expect(204);
        })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap();
    }
    let bytes = stream.bytes().await;
    assert_eq!(bytes.len(), 16 * LIMIT);
    assert!(bytes.chunks(LIMIT).all(|body| body.iter().all(|byte| *byte == body[0])), "no mixing");
}
