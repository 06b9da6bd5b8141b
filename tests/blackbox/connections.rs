//! Connections: many requests on one, in order, whatever the mixture.

use streamkeeper_tests::binary::{BRISK, PATIENT, Shared};
use streamkeeper_tests::{Connection, EventReader, Request, Stream};

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut connection = Connection::open(stream.address).await;
    for i in 0..100 {
        connection.send(&stream.post(format!("{i},"))).await.expect(204);
        connection.send(&Request::new("HEAD", &stream.path)).await.expect(200);
        let response = connection.send(&stream.get("offset=now")).await.expect(200);
        assert!(response.up_to_date());
    }
    let text: String = (0..100).map(|i| format!("{i},")).collect();
    assert_eq!(connection.send(&stream.get("")).await.text(), text);
}

#[tokio::test]
async fn errors_do_not_end_a_connection() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    let missing = Stream::fresh(server.address(), "text/plain");
    let mut connection = Connection::open(stream.address).await;
    for _ in 0..3 {
        for (request, status) in [
            (stream.post("{"), 400),
            (stream.get("offset=x"), 400),
            (missing.get(""), 404),
            (missing.post("x"), 404),
            (Request::new("PATCH", &stream.path), 405),
            (Request::new("HEAD", &missing.path), 404),
            (stream.put().header("Stream-TTL", "x"), 400),
            (Request::new("GET", "/v1/stream/.."), 400),
            (stream.get(""), 200),
        ] {
            connection.send(&request).await.expect(status);
        }
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Shared::with(BRISK);
    let stream = Stream::fresh(server.address(), "text/plain");
    let head = Request::new("HEAD", &stream.path);
    let options = Request::new("OPTIONS", &stream.path);
    let delete = Request::new("DELETE", &stream.path);
    let script = [
        (stream.get(""), 404),
        (stream.put(), 201),
        (stream.put(), 200),
        (stream.post("one"), 204),
        (head.clone(), 200),
        (stream.get(""), 200),
        (options, 204),
        (stream.post(""), 400),
        // Waits until its timeout, and everything after it waits too.
        (stream.get("offset=now&live=long-poll"), 204),
        (stream.post("two").header("Stream-Closed", "true"), 204),
        (stream.get("offset=-1&live=long-poll"), 200),
        (stream.post("three"), 409),
        (delete.clone(), 204),
        (delete, 404),
        (head, 404),
    ];
    let bytes: Vec<u8> = script.iter().flat_map(|(request, _)| request.encode()).collect();
    let mut connection = Connection::open(stream.address).await;
    connection.write(&bytes).await;
    for (request, status) in &script {
        connection.response(request.method()).await.expect(*status);
    }
}

#[tokio::test]
async fn chunked_uploads_are_whole_messages() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    let mut connection = Connection::open(stream.address).await;
    let pieces: &[&[u8]] = &[b"[{\"a", b"\": \"", "é".as_bytes(), b"\"},", b" 2", b"]"];
    connection.write(&stream.post("").encode_chunked(pieces)).await;
    connection.response("POST").await.expect(204);
    let bytes: Vec<Vec<u8>> = "[\"é\"]".bytes().map(|byte| vec![byte]).collect();
    let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    connection.write(&stream.post("").encode_chunked(&bytes)).await;
    connection.response("POST").await.expect(204);
    assert_eq!(connection.send(&stream.get("")).await.text(), r#"[{"a":"é"},2,"é"]"#);
}

#[tokio::test]
async fn http_1_0_is_spoken_too() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let get =
        |query: &str, more: &str| format!("GET {}?{query} HTTP/1.0\r\n{more}\r\n", stream.path);
    let mut connection = Connection::open(stream.address).await;
    connection.write(get("offset=-1", "").as_bytes()).await;
    let response = connection.response("GET").await.expect(200);
    assert_eq!((response.text().as_str(), connection.until_end().await.len()), ("hello", 0));
    let mut connection = Connection::open(stream.address).await;
    for _ in 0..3 {
        connection.write(get("", "Connection: keep-alive\r\n").as_bytes()).await;
        assert_eq!(connection.response("GET").await.expect(200).text(), "hello");
    }
    // Server-sent events without chunks: what ends them is the end of the connection.
    let mut connection = Connection::open(stream.address).await;
    connection.write(get("offset=-1&live=sse", "").as_bytes()).await;
    let head = connection.head().await.unwrap();
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    stream.close().await;
    let events = String::from_utf8(connection.until_end().await).unwrap();
    assert!(events.starts_with("event: data\ndata:hello\n\n"), "{events}");
    assert!(events.ends_with("\"streamClosed\":true}\n\n"), "{events}");
}

#[tokio::test]
async fn a_connection_goes_on_after_server_sent_events() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append_and_close("x").await;
    let mut connection = Connection::open(stream.address).await;
    let mut bytes = stream.get("offset=-1&live=sse").encode();
    bytes.extend(stream.get("").encode());
    connection.write(&bytes).await;
    let mut events = EventReader::begin(connection).await;
    assert_eq!(events.to_end().await.0, ["x"]);
    assert!(events.ended_cleanly);
    let mut connection = events.into_connection();
    assert_eq!(connection.response("GET").await.expect(200).text(), "x");
}

#[tokio::test]
async fn a_whole_response_says_how_long_it_is() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    stream.append("[1,2,3]").await;
    stream.append("4").await;
    let response = stream.read("").await.expect(200);
    assert_eq!(response.header("content-length"), Some("9"), "{response:?}");
    let sse = stream.sse("-1").await;
    assert_eq!(sse.head.header("transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn absolute_request_targets_are_understood() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let target = format!("http://streamkeeper.test{}?offset=-1", stream.path);
    assert_eq!(stream.send(&Request::new("GET", target)).await.expect(200).text(), "hello");
}

#[tokio::test]
async fn the_operators_paths_answer() {
    let server = Shared::with(PATIENT);
    let mut connection = Connection::open(server.address()).await;
    for path in ["/healthz", "/readyz"] {
        let response = connection.send(&Request::new("GET", path)).await.expect(200);
        assert!(!response.body.is_empty());
    }
}

#[tokio::test]
async fn http_2_is_spoken_by_those_who_know() {
    let server = Shared::with(PATIENT);
    let mut connection = Connection::open(server.address()).await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    connection.write(&settings).await;
    // GOAWAY from us, so that the server's answer has an end.
    connection.write(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    connection.half_close().await;
    let frames = connection.until_end().await;
    assert!(frames.len() >= 9 && frames[3] == 4, "a SETTINGS frame: {}", frames.escape_ascii());
}
