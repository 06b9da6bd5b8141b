//! Entity tags: they name what was read, and a 304 never hides anything.

use streamkeeper_tests::binary::{PATIENT, SMALL_PAGES, Shared};
use streamkeeper_tests::stream::answer;
use streamkeeper_tests::{Response, Stream, stream::in_background};

fn tag(response: &Response) -> String {
    let tag = response.header("etag").unwrap_or_else(|| panic!("no ETag: {response:?}"));
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    tag.to_owned()
}

#[tokio::test]
async fn a_known_tag_in_any_notation_is_answered_with_304() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let known = tag(&stream.read("offset=-1").await);
    let values = [
        known.clone(),
        format!("W/{known}"),
        format!("\"a\", {known} , W/\"b\""),
        format!("\"a,b\",{known}"),
        format!(",,{known},"),
        "*".to_owned(),
    ];
    for value in values {
        let request = stream.get("offset=-1").header("If-None-Match", &value);
        let response = stream.send(&request).await.expect(304).expect_browser_headers();
        assert_eq!(response.body, b"", "{value}");
        assert_eq!(tag(&response), known);
        assert!(response.up_to_date());
        assert_eq!(response.next_offset(), stream.tail().await);
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn several_if_none_match_headers_are_one_list() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let known = tag(&stream.read("").await);
    let get = || stream.get("").header("If-None-Match", "\"other\"");
    stream.send(&get().header("If-None-Match", &known)).await.expect(304);
    stream.send(&get().header("If-None-Match", "\"another\"")).await.expect(200);
}

#[tokio::test]
async fn an_unknown_or_malformed_tag_gets_the_data() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let known = tag(&stream.read("").await);
    let bare = known.trim_matches('"').to_owned();
    for value in ["\"\"", "", &bare, "w/*", "\"unfinished", &format!("\"x\" {known}")] {
        let response = stream.send(&stream.get("").header("If-None-Match", value)).await;
        assert_eq!(response.expect(200).text(), "hello", "{value}");
    }
    let bytes = stream.get("").header("If-None-Match", b"\"\xff\"");
    assert_eq!(stream.send(&bytes).await.expect(200).text(), "hello");
}

#[tokio::test]
async fn the_tag_changes_with_an_append_and_with_the_closing() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let empty = tag(&stream.read("").await);
    stream.append("hello").await;
    let appended = tag(&stream.read("").await);
    stream.close().await;
    let closed = tag(&stream.read("").await);
    assert!(empty != appended && appended != closed && empty != closed);
    let request = stream.get("").header("If-None-Match", &appended);
    assert!(stream.send(&request).await.expect(200).closed(), "a 304 would hide the end");
    let request = stream.get("").header("If-None-Match", &closed);
    assert!(stream.send(&request).await.expect(304).closed());
    let tail = stream.tail().await;
    assert_ne!(tag(&stream.read(&format!("offset={tail}")).await), closed);
}

#[tokio::test]
async fn the_tag_of_history_is_stable_while_the_stream_grows() {
    let server = Shared::with(SMALL_PAGES);
    let stream = Stream::create(server.address(), "text/plain").await;
    for _ in 0..5 {
        stream.append("x".repeat(600)).await;
    }
    let first = stream.read("offset=-1").await;
    assert!(!first.up_to_date());
    stream.append("more").await;
    stream.close().await;
    let request = stream.get("offset=-1").header("If-None-Match", tag(&first));
    let response = stream.send(&request).await.expect(304);
    assert!(!response.closed() && !response.up_to_date());
    assert_eq!(response.next_offset(), first.next_offset());
}

#[tokio::test]
async fn offset_now_has_no_tag_and_never_answers_304() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let request = stream.get("offset=now").header("If-None-Match", "*");
    let response = stream.send(&request).await.expect(200);
    assert_eq!((response.header("etag"), response.text().as_str()), (None, ""));
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_waiting_long_poll_never_answers_304() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut tail = stream.append("hello").await;
    for any in [true, false] {
        let at_tail = tag(&stream.read(&format!("offset={tail}")).await);
        let request = stream.get(&format!("offset={tail}&live=long-poll"));
        let request = request.header("If-None-Match", if any { "*" } else { &at_tail });
        let mut waiting = in_background(stream.address, request).await;
        let early = futures::FutureExt::now_or_never(&mut waiting);
        assert!(early.is_none(), "it waits: {early:?}");
        tail = stream.append("!").await;
        assert_eq!(answer(waiting).await.expect(200).text(), "!");
    }
}

#[tokio::test]
async fn a_long_poll_from_now_has_no_tag() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let waiting = stream.long_poll("now").await;
    stream.append("news").await;
    let response = answer(waiting).await.expect(200);
    assert_eq!(response.header("etag"), None, "section 10.1: except for offset=now: {response:?}");
}
