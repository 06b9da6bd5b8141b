//! Headers as no client should send them: refused with the right code, and without a trace.

use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::stream::offset;
use streamkeeper_tests::{Request, Stream};

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Asserts that a PUT with these headers is refused, and creates nothing.
async fn put_refused(server: &Shared, headers: Headers<'_>, code: &str) {
    let stream = Stream::fresh(server.address(), "text/plain");
    let response = stream.send(&stream.put().headers(headers)).await;
    assert_eq!(response.status, 400, "{headers:?}: {response:?}");
    response.expect_problem(400, code);
    assert_eq!(stream.head().await.status, 404, "{headers:?}");
}

#[tokio::test]
async fn a_ttl_is_a_plain_number_within_bounds() {
    let server = Shared::with(PATIENT);
    for bad in [
        "",
        "abc",
        "-1",
        "+60",
        "060",
        "00",
        "60.0",
        "6e1",
        "6 0",
        "0x3c",
        "60s",
        "٦",
        "3155760001",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999999999",
    ] {
        put_refused(&server, &[("Stream-TTL", bad)], "invalid_ttl").await;
    }
    for good in ["1", "3600", "3155760000"] {
        let stream = Stream::fresh(server.address(), "text/plain");
        stream.send(&stream.put().header("Stream-TTL", good)).await.expect(201);
        assert_eq!(stream.head().await.expect(200).header("stream-ttl"), Some(good));
    }
}

#[tokio::test]
async fn an_expiry_is_a_timestamp() {
    let server = Shared::with(PATIENT);
    for bad in [
        "",
        "tomorrow",
        "2030-01-31",
        "2030-01-31T12:00:00",
        "1893456000",
        "2030-02-31T00:00:00Z",
        "2030-13-01T00:00:00Z",
        "30-01-01T00:00:00Z",
        "Fri, 31 Jan 2030 12:00:00 GMT",
        "+999999-01-01T00:00:00Z",
        "2030-01-31T12:00:00+25:00",
        "2030-01-31T25:00:00Z",
    ] {
        put_refused(&server, &[("Stream-Expires-At", bad)], "invalid_expires_at").await;
    }
    for (good, shown) in [
        ("2099-01-31T14:00:00+02:00", "2099-01-31T12:00:00"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59"),
    ] {
        let stream = Stream::fresh(server.address(), "text/plain");
        let put = stream.put().header("Stream-Expires-At", good);
        stream.send(&put).await.expect(201);
        stream.send(&put).await.expect(200);
        let head = stream.head().await.expect(200);
        assert!(head.header("stream-expires-at").unwrap().starts_with(shown), "{head:?}");
    }
    let both = [("Stream-TTL", "5"), ("Stream-Expires-At", "2099-01-31T14:00:00Z")];
    put_refused(&server, &both, "ttl_and_expires_at").await;
}

#[tokio::test]
async fn a_content_type_is_a_media_type() {
    let server = Shared::with(PATIENT);
    let long = format!("text/{}", "x".repeat(300));
    for bad in [
        "text",
        "/",
        "text/",
        "/plain",
        "a b/c",
        "text/plain, text/html",
        ";x",
        "text/pl\tain",
        &long,
    ] {
        let stream = Stream::fresh(server.address(), bad);
        stream.send(&stream.put()).await.expect_problem(400, "invalid_content_type");
    }
    let bytes = Stream::fresh(server.address(), "text/plain");
    let put = Request::new("PUT", &bytes.path).header("Content-Type", b"text/pla\xffin");
    bytes.send(&put).await.expect_problem(400, "invalid_content_type");
    for (sent, shown) in [
        ("", "application/octet-stream"),
        ("TEXT/Plain; charset=\"x;y\"", "TEXT/Plain; charset=\"x;y\""),
        ("a/b;", "a/b;"),
    ] {
        let stream = Stream::fresh(server.address(), sent);
        let created = stream.send(&stream.put()).await.expect(201);
        assert_eq!(created.header("content-type"), Some(shown));
        assert_eq!(stream.read("").await.header("content-type"), Some(shown));
    }
}

#[tokio::test]
async fn an_append_needs_the_type_of_the_stream() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain;a=b").await;
    let post =
        |types: &str| Request::new("POST", &stream.path).header("Content-Type", types).body("x");
    let missing = Request::new("POST", &stream.path).body("x");
    stream.send(&missing).await.expect_problem(400, "missing_content_type");
    stream.send(&post("")).await.expect_problem(400, "missing_content_type");
    stream.send(&post("nonsense")).await.expect_problem(400, "invalid_content_type");
    stream.send(&post("text/html")).await.expect_problem(409, "content_type_mismatch");
    stream.send(&post("Text/PLAIN; charset=utf-8")).await.expect(204);
    stream.send(&stream.post("")).await.expect_problem(400, "empty_body");
    // A mere closing may carry whatever type its client attaches.
    for types in ["image/png", "nonsense", ""] {
        let close = stream.post_close().header("Content-Type", types);
        stream.send(&close).await.expect(204);
    }
    assert_eq!(stream.text().await, "x");
}

#[tokio::test]
async fn a_stream_seq_has_1_to_256_bytes() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for bad in ["".to_owned(), "9".repeat(257), "9".repeat(8000)] {
        let post = stream.post("x").header("Stream-Seq", bad);
        stream.send(&post).await.expect_problem(400, "invalid_stream_seq");
    }
    stream.send(&stream.post("x").header("Stream-Seq", "0".repeat(256))).await.expect(204);
    assert_eq!(stream.text().await, "x");
}

#[tokio::test]
async fn producer_headers_come_together_and_whole() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let (id, epoch, seq) = (("Producer-Id", "p"), ("Producer-Epoch", "0"), ("Producer-Seq", "0"));
    let long = "x".repeat(257);
    let cases: &[Headers<'_>] = &[
        &[id],
        &[epoch],
        &[seq],
        &[id, epoch],
        &[id, seq],
        &[epoch, seq],
        &[("Producer-Id", ""), epoch, seq],
        &[("Producer-Id", ""), ("Producer-Epoch", ""), ("Producer-Seq", "")],
        &[id, ("Producer-Epoch", ""), seq],
        &[id, epoch, ("Producer-Seq", "")],
        &[id, ("Producer-Epoch", "-1"), seq],
        &[id, epoch, ("Producer-Seq", "1.0")],
        &[id, epoch, ("Producer-Seq", "1e3")],
        &[id, epoch, ("Producer-Seq", "0x1")],
        &[id, epoch, ("Producer-Seq", "+1")],
        &[id, epoch, ("Producer-Seq", "9007199254740992")],
        &[id, ("Producer-Epoch", "9007199254740992"), seq],
        &[id, ("Producer-Epoch", "18446744073709551616"), seq],
        &[("Producer-Id", &long), epoch, seq],
        &[("Producer-Id", "a\tb"), epoch, seq],
    ];
    for headers in cases {
        for request in [stream.post("x"), stream.post_close()] {
            let response = stream.send(&request.headers(headers)).await;
            assert_eq!(response.status, 400, "{headers:?}");
            response.expect_problem(400, "invalid_producer");
        }
    }
    let bytes = stream.post("x").header("Producer-Id", b"\xff").headers(&[epoch, seq]);
    stream.send(&bytes).await.expect_problem(400, "invalid_producer");
    assert_eq!(stream.text().await, "");
    assert!(!stream.head().await.closed());
    let largest = stream.post("x").producer(&"x".repeat(256), 9_007_199_254_740_991, 0);
    stream.send(&largest).await.expect(200);
    let gap = stream.post("x").producer("q", 0, 9_007_199_254_740_991);
    stream.send(&gap).await.expect_problem(409, "sequence_gap");
}

#[tokio::test]
async fn fork_headers_are_checked_before_anything_is_held() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append("hello").await;
    let from = ("Stream-Forked-From", source.path.as_str());
    let (at, zero) = ("Stream-Fork-Offset", offset(0));
    let sub = "Stream-Fork-Sub-Offset";
    let cases: &[(Headers<'_>, u16, &str)] = &[
        (&[(at, &zero)], 400, "forked_from_missing"),
        (&[(sub, "0")], 400, "forked_from_missing"),
        (&[from, (at, "")], 400, "invalid_fork_offset"),
        (&[from, (at, "-1")], 400, "invalid_fork_offset"),
        (&[from, (at, "now")], 400, "invalid_fork_offset"),
        (&[from, (at, "nonsense")], 400, "invalid_fork_offset"),
        (&[from, (at, &offset(6))], 400, "fork_offset_beyond_tail"),
        (&[from, (at, "9999999999999999_9999999999999999")], 400, "fork_offset_beyond_tail"),
        (&[from, (at, &offset(3))], 400, "invalid_fork_offset"),
        (&[from, (at, &zero), (sub, "")], 400, "invalid_fork_sub_offset"),
        (&[from, (at, &zero), (sub, "-1")], 400, "invalid_fork_sub_offset"),
        (&[from, (at, &zero), (sub, "01")], 400, "invalid_fork_sub_offset"),
        (&[from, (at, &zero), (sub, "1.5")], 400, "invalid_fork_sub_offset"),
        (&[from, (at, &zero), (sub, "6")], 400, "invalid_fork_sub_offset"),
        (&[from, (at, &zero), (sub, "18446744073709551616")], 400, "invalid_fork_sub_offset"),
        (&[from, (at, &zero), (sub, "9999999999999999")], 400, "invalid_fork_sub_offset"),
        (&[from, (sub, "1")], 400, "invalid_fork_sub_offset"),
        (&[("Stream-Forked-From", "")], 404, "fork_source_not_found"),
        (&[("Stream-Forked-From", "/")], 404, "fork_source_not_found"),
        (&[("Stream-Forked-From", "/v1/stream/missing")], 404, "fork_source_not_found"),
        (&[("Stream-Forked-From", "/v1/stream/../x")], 400, "invalid_stream_name"),
        (&[("Stream-Forked-From", "/v1/stream/%ff")], 400, "invalid_stream_name"),
    ];
    for (headers, status, code) in cases {
        let fork = Stream::fresh(server.address(), "text/plain");
        let response = fork.send(&fork.put().headers(headers)).await;
        assert_eq!(response.status, *status, "{headers:?}: {response:?}");
        response.expect_problem(*status, code);
        assert_eq!(fork.head().await.status, 404, "{headers:?}");
    }
    let fork = Stream::fresh(server.address(), "text/html");
    let mismatch = fork.put().headers(&[from]);
    fork.send(&mismatch).await.expect_problem(409, "content_type_mismatch");
    // None of them holds the source: it is deleted, not soft-deleted.
    source.delete().await.expect(204);
    source.delete().await.expect_problem(404, "stream_not_found");
}

#[tokio::test]
async fn unknown_methods_are_told_which_ones_there_are() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for method in ["PATCH", "TRACE", "PROPFIND", "QUERY", "get", "X"] {
        let response = stream.send(&Request::new(method, &stream.path)).await;
        let response = response.expect_problem(405, "method_not_allowed");
        let allow = response.header("allow").unwrap();
        for known in ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"] {
            assert!(allow.split(", ").any(|method| method == known), "{allow}");
        }
    }
}

#[tokio::test]
async fn browsers_are_told_what_they_may_send_and_see() {
    let server = Shared::with(PATIENT);
    let stream = Stream::fresh(server.address(), "text/plain");
    let preflight = Request::new("OPTIONS", &stream.path)
        .header("Origin", "https://example.com")
        .header("Access-Control-Request-Method", "POST");
    let response = stream.send(&preflight).await.expect(204).expect_browser_headers();
    let allowed = response.header("access-control-allow-headers").unwrap().to_lowercase();
    for header in [
        "content-type",
        "authorization",
        "if-none-match",
        "stream-ttl",
        "stream-expires-at",
        "stream-closed",
        "stream-seq",
        "stream-forked-from",
        "stream-fork-offset",
        "stream-fork-sub-offset",
        "producer-id",
        "producer-epoch",
        "producer-seq",
    ] {
        assert!(allowed.split(", ").any(|name| name == header), "{header}");
    }
    stream.send(&stream.put()).await.expect(201);
    for response in [stream.head().await, stream.read("").await, stream.sse("-1").await.head] {
        let response = response.expect(200).expect_browser_headers();
        let exposed = response.header("access-control-expose-headers").unwrap().to_lowercase();
        for header in [
            "etag",
            "location",
            "retry-after",
            "stream-next-offset",
            "stream-up-to-date",
            "stream-closed",
            "stream-cursor",
            "stream-ttl",
            "stream-expires-at",
            "stream-sse-data-encoding",
            "producer-epoch",
            "producer-seq",
            "producer-expected-seq",
            "producer-received-seq",
        ] {
            assert!(exposed.split(", ").any(|name| name == header), "{header}");
        }
    }
}
