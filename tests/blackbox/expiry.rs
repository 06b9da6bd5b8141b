//! Expiry: a TTL slides with every use, a date does not, and what is over is as if it never was. The
//! clock is moved by hand, so nothing here depends on how fast the machine is.

use std::time::Duration;

use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::stream::{answer, offset};
use streamkeeper_tests::{InProcess, Request, Setup, Stream, eventually};

async fn start() -> InProcess {
    let mut setup = Setup { manual_clock: true, ..Setup::default() };
    setup.options.long_poll_timeout = Duration::from_millis(50);
    setup.start().await
}

async fn create(server: &InProcess, ttl: &str) -> Stream {
    let stream = Stream::fresh(server.address, "text/plain");
    stream.send(&stream.put().header("Stream-TTL", ttl)).await.expect(201);
    stream
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets 3 s pass before each of several uses; the stream's TTL is 4 s.
async fn slides_with(server: &InProcess, what: &str, use_it: impl AsyncFn(&Stream)) {
    let stream = create(server, "4").await;
    stream.append("x").await;
    for round in 0..4 {
        server.clock.advance(seconds(3));
        use_it(&stream).await;
        assert_eq!(stream.head().await.status, 200, "{what}, round {round}");
    }
    server.clock.advance(seconds(5));
    assert_eq!(stream.head().await.status, 404, "{what}");
}

#[tokio::test]
async fn every_read_and_write_moves_the_ttl() {
    let server = start().await;
    slides_with(&server, "append", async |s| drop(s.append("x").await)).await;
    slides_with(&server, "catch-up", async |s| drop(s.read("").await.expect(200))).await;
    slides_with(&server, "offset=now", async |s| drop(s.read("offset=now").await.expect(200)))
        .await;
    slides_with(&server, "304", async |s| {
        s.send(&s.get("").header("If-None-Match", "*")).await.expect(304);
    })
    .await;
    slides_with(&server, "long-poll", async |s| {
        s.read("offset=now&live=long-poll").await.expect(204);
    })
    .await;
    slides_with(&server, "sse", async |s| drop(s.sse("-1").await.step().await)).await;
    slides_with(&server, "close-only", async |s| drop(s.close().await)).await;
    slides_with(&server, "a producer's duplicate", async |s| {
        s.send(&s.post("x").producer("p", 0, 0)).await;
    })
    .await;
}

#[tokio::test]
async fn head_does_not_move_the_ttl() {
    let server = start().await;
    let stream = create(&server, "4").await;
    for _ in 0..3 {
        server.clock.advance(seconds(1));
        let head = stream.head().await.expect(200);
        assert_eq!(head.header("stream-ttl"), Some("4"), "the window, not what is left of it");
    }
    server.clock.advance(seconds(1));
    assert_eq!(stream.head().await.status, 404);
}

#[tokio::test]
async fn what_has_expired_is_gone_for_every_method_and_at_once() {
    let server = start().await;
    for request in ["GET", "HEAD", "POST", "DELETE", "now", "long-poll", "sse", "close"] {
        let stream = create(&server, "2").await;
        let stamp = stream.append("x").await;
        server.clock.advance(Duration::from_millis(1999));
        assert_eq!(stream.head().await.status, 200);
        server.clock.advance(Duration::from_millis(1));
        let request = match request {
            "POST" => stream.post("y"),
            "now" => stream.get("offset=now"),
            "long-poll" => stream.get(&format!("offset={stamp}&live=long-poll")),
            "sse" => stream.get("offset=-1&live=sse"),
            "close" => stream.post_close(),
            method => Request::new(method, &stream.path),
        };
        stream.send(&request).await.expect(404);
        stream.send(&stream.put()).await.expect(201);
        assert_eq!(stream.text().await, "", "the new stream is empty");
    }
}

#[tokio::test]
async fn an_expired_name_is_free_for_any_stream() {
    let server = start().await;
    let stream = create(&server, "2").await;
    stream.append_and_close("old").await;
    server.clock.advance(seconds(2));
    let mut other = stream.clone();
    other.content_type = "application/json".into();
    other.send(&other.put().body("[1]")).await.expect(201);
    let read = other.read("").await.expect(200);
    assert_eq!((read.text().as_str(), read.closed()), ("[1]", false));
    server.clock.advance(seconds(1000));
    assert_eq!(other.head().await.status, 200, "the new one has no TTL");
}

#[tokio::test]
async fn a_ttl_of_zero_and_a_date_in_the_past_are_over_at_once() {
    let server = start().await;
    for (name, value) in [
        ("Stream-TTL", "0"),
        ("Stream-Expires-At", "2029-12-31T23:59:59Z"),
        ("Stream-Expires-At", "1970-01-01T00:00:00Z"),
        ("Stream-Expires-At", "0001-01-01T00:00:00Z"),
    ] {
        let stream = Stream::fresh(server.address, "text/plain");
        let put = stream.put().header(name, value).body("x");
        for _ in 0..2 {
            stream.send(&put).await.expect(201);
            stream.read("").await.expect_problem(404, "stream_not_found");
        }
        stream.send(&stream.post("x")).await.expect_problem(404, "stream_not_found");
        stream.delete().await.expect_problem(404, "stream_not_found");
    }
}

#[tokio::test]
async fn a_date_does_not_slide() {
    let server = start().await;
    let stream = Stream::fresh(server.address, "text/plain");
    let put = stream.put().header("Stream-Expires-At", "2030-01-01T00:00:05Z");
    stream.send(&put).await.expect(201);
    for _ in 0..4 {
        server.clock.advance(seconds(1));
        stream.append("x").await;
        stream.read("").await.expect(200);
    }
    let head = stream.head().await.expect(200);
    assert_eq!(head.header("stream-expires-at"), Some("2030-01-01T00:00:05.000Z"));
    server.clock.advance(seconds(1));
    assert_eq!(stream.head().await.status, 404);
}

#[tokio::test]
async fn put_confirms_only_the_same_expiry_and_by_itself_is_no_use() {
    let server = start().await;
    let stream = create(&server, "4").await;
    let put = |ttl: &str| stream.put().header("Stream-TTL", ttl);
    stream.send(&put("4")).await.expect(200);
    stream.send(&put("5")).await.expect_problem(409, "stream_exists");
    stream.send(&stream.put()).await.expect_problem(409, "stream_exists");
    let date = stream.put().header("Stream-Expires-At", "2040-01-01T00:00:00Z");
    stream.send(&date).await.expect_problem(409, "stream_exists");
}

/// The table of PROTOCOL.md section 4.2.
#[tokio::test]
async fn a_fork_has_the_expiry_that_it_asks_for_or_else_its_sources() {
    let server = start().await;
    let never = ("", "");
    let (ttl, own) = (("Stream-TTL", "100"), ("Stream-TTL", "7"));
    let (at, own_at) = ("2030-02-01T00:00:00.000Z", "2030-03-01T00:00:00.000Z");
    let (at, own_at) = (("Stream-Expires-At", at), ("Stream-Expires-At", own_at));
    for (source, asked, gets) in [
        (never, never, never),
        (never, own, own),
        (never, own_at, own_at),
        (ttl, never, ttl),
        (ttl, own, own),
        (ttl, own_at, own_at),
        (at, never, at),
        (at, own, own),
        (at, own_at, own_at),
    ] {
        let with = |request: Request, (name, value): (&str, &str)| match name {
            "" => request,
            _ => request.header(name, value),
        };
        let origin = Stream::fresh(server.address, "text/plain");
        origin.send(&with(origin.put(), source)).await.expect(201);
        let fork = Stream::fresh(server.address, "text/plain");
        fork.send(&with(fork.put_fork(&origin), asked)).await.expect(201);
        let head = fork.head().await.expect(200);
        for name in ["Stream-TTL", "Stream-Expires-At"] {
            let expected = (gets.0 == name).then_some(gets.1);
            assert_eq!(head.header(name), expected, "{source:?} {asked:?}");
        }
    }
}

#[tokio::test]
async fn a_fork_outlives_its_expired_source_and_holds_its_data() {
    let server = start().await;
    let source = create(&server, "5").await;
    source.append("from the source, ").await;
    let fork = Stream::fresh(server.address, "text/plain");
    fork.send(&fork.put_fork(&source).header("Stream-TTL", "100")).await.expect(201);
    fork.append("from the fork").await;
    server.clock.advance(seconds(6));
    // Expired while forks refer to it: gone, and its name is taken until they let go.
    assert!(matches!(source.head().await.status, 404 | 410));
    assert_eq!(fork.text().await, "from the source, from the fork");
    server.clock.advance(seconds(6));
    assert_eq!(fork.read(&format!("offset={}", offset(0))).await.expect(200).body.len(), 30);
    fork.delete().await.expect(204);
    eventually("the source's name is free", async || {
        source.send(&source.put()).await.status == 201
    })
    .await;
}

#[tokio::test]
async fn readers_who_wait_learn_of_the_expiry_without_asking() {
    let server = Shared::with(PATIENT);
    let stream = Stream::fresh(server.address(), "text/plain");
    stream.send(&stream.put().header("Stream-TTL", "1")).await.expect(201);
    let mut reader = stream.sse("-1").await;
    let waiting = stream.long_poll("-1").await;
    // Nobody asks any more: a timer must end them, long before the long-poll's own 40 s.
    answer(waiting).await.expect_problem(404, "stream_not_found");
    let (data, last) = reader.to_end().await;
    assert!(data.is_empty() && !last.unwrap().closed);
}

#[tokio::test]
async fn the_real_clock_works_too() {
    let server = Shared::with(PATIENT);
    let stream = Stream::fresh(server.address(), "text/plain");
    let put = stream.put().header("Stream-TTL", "1").body("x");
    stream.send(&put).await.expect(201);
    eventually("it expires", async || stream.head().await.status == 404).await;
    stream.send(&stream.put().header("Stream-TTL", "3600")).await.expect(201);
    assert_eq!(stream.text().await, "");
}
