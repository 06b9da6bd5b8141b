//! What may be cached, by whom: the whole table (design, section 6; PROTOCOL.md section 10).

use streamkeeper_tests::binary::{PATIENT, SMALL_PAGES, Shared};
use streamkeeper_tests::stream::answer;
use streamkeeper_tests::{Request, Response, Stream};

const PUBLIC: &str = "public, max-age=60, stale-while-revalidate=300";
const PRIVATE: &str = "private, max-age=60, stale-while-revalidate=300";
const PRIVATE_PAGES: &[&str] =
    &["--cache", "private", "--page-size", "1KiB", "--long-poll-timeout", "40s"];

fn caching(response: &Response) -> &str {
    response.header("cache-control").unwrap_or("nothing")
}

/// A stream of several pages of 1 KiB.
async fn long_stream(server: &Shared) -> Stream {
    let stream = Stream::create(server.address(), "text/plain").await;
    for _ in 0..4 {
        stream.append("x".repeat(700)).await;
    }
    stream
}

#[tokio::test]
async fn history_may_be_cached_and_the_tail_may_not() {
    for (flags, history) in [(SMALL_PAGES, PUBLIC), (PRIVATE_PAGES, PRIVATE)] {
        let server = Shared::with(flags);
        let stream = long_stream(&server).await;
        let pages = stream.walk("-1").await;
        let (last, before) = pages.split_last().unwrap();
        assert!(before.len() >= 3 && before.iter().all(|page| caching(page) == history));
        assert_eq!(caching(last), "no-store", "the next append makes another page of it");
        let tail = stream.tail().await;
        assert_eq!(caching(&stream.read(&format!("offset={tail}")).await), "no-store");
        assert_eq!(caching(&stream.read("offset=now").await), "no-store");
        assert_eq!(caching(&stream.head().await), "no-store");
        assert_eq!(caching(&stream.sse("-1").await.head), "no-cache");
        stream.close().await;
        assert_eq!(caching(&stream.walk("-1").await[0]), history);
    }
}

#[tokio::test]
async fn a_304_is_cached_as_the_page_it_stands_for() {
    let server = Shared::with(SMALL_PAGES);
    let stream = long_stream(&server).await;
    let conditional = |query: &str| stream.get(query).header("If-None-Match", "*");
    assert_eq!(caching(&stream.send(&conditional("offset=-1")).await.expect(304)), PUBLIC);
    let tail = stream.tail().await;
    let at_tail = stream.send(&conditional(&format!("offset={tail}"))).await.expect(304);
    assert_eq!(caching(&at_tail), "no-store");
}

#[tokio::test]
async fn a_long_poll_without_news_is_not_cached() {
    let server = Shared::with(&["--long-poll-timeout", "200ms"]);
    let stream = Stream::create(server.address(), "text/plain").await;
    for at in ["-1", "now"] {
        let response = stream.read(&format!("offset={at}&live=long-poll")).await.expect(204);
        assert_eq!(caching(&response), "no-store");
        assert_eq!(response.header("etag"), None);
    }
}

#[tokio::test]
async fn a_long_poll_from_an_offset_is_shared_by_caches() {
    for (flags, history) in [(SMALL_PAGES, PUBLIC), (PRIVATE_PAGES, PRIVATE)] {
        let server = Shared::with(flags);
        let stream = Stream::create(server.address(), "text/plain").await;
        let tail = stream.append("old").await;
        let waiting = stream.long_poll(&tail).await;
        stream.append("news").await;
        let response = answer(waiting).await.expect(200);
        assert_eq!((response.text().as_str(), caching(&response)), ("news", history));
    }
}

/// Everybody's first request is this very URL: from a cache, "now" would be a minute ago.
#[tokio::test]
async fn a_long_poll_from_now_is_not_cached() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let waiting = stream.long_poll("now").await;
    stream.append("news").await;
    let response = answer(waiting).await.expect(200);
    assert_eq!((response.text().as_str(), caching(&response)), ("news", "no-store"));
}

#[tokio::test]
async fn errors_are_not_cached() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append_and_close("x").await;
    let missing = Stream::fresh(server.address(), "text/plain");
    for (stream, request) in [
        (&missing, missing.get("")),
        (&stream, stream.get("offset=nonsense")),
        (&stream, stream.post("y")),
        (&stream, Request::new("PATCH", &stream.path)),
    ] {
        let response = stream.send(&request).await;
        assert!(response.status >= 400 && caching(&response) == "no-store", "{response:?}");
    }
}
