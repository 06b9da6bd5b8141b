//! Closing a stream wakes whoever waits for it, with the last data and the end in the right order.

use streamkeeper_tests::Stream;
use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::stream::{answer, offset};

#[tokio::test]
async fn closing_wakes_a_waiting_long_poll_with_the_end() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let tail = stream.append("hello").await;
    let waiting = stream.long_poll(&tail).await;
    stream.close().await;
    let response = answer(waiting).await.expect(204);
    assert!(response.closed() && response.up_to_date(), "{response:?}");
    assert_eq!(response.next_offset(), tail);
    assert_eq!(response.cursor(), None, "nobody asks again after the end");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.body, b"");
}

#[tokio::test]
async fn closing_ends_sse_readers_with_one_control_event() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let tail = stream.append("hello").await;
    let mut reader = stream.sse(&tail).await;
    let (data, control) = reader.step().await.unwrap();
    assert_eq!((data, control.up_to_date, control.closed), (None, true, false));
    stream.close().await;
    let last = reader.next().await.unwrap();
    let expected = format!(
        "event: control\ndata:{{\"streamNextOffset\":\"{tail}\",\"upToDate\":true,\"streamClosed\":true}}"
    );
    assert_eq!(last.raw, expected);
    assert_eq!(reader.next().await, None);
    assert!(reader.ended_cleanly);
}

#[tokio::test]
async fn append_and_close_gives_a_waiting_long_poll_the_data_and_the_end_at_once() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let waiting = stream.long_poll("-1").await;
    let closed = stream.append_and_close("the last words").await;
    assert!(closed.closed());
    let response = answer(waiting).await.expect(200);
    assert_eq!(response.text(), "the last words");
    assert!(response.closed() && response.up_to_date(), "{response:?}");
    assert_eq!(response.next_offset(), closed.next_offset());
    assert_eq!(response.cursor(), None);
}

#[tokio::test]
async fn append_and_close_gives_sse_readers_the_data_and_then_one_control_event() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut reader = stream.sse("-1").await;
    assert!(reader.step().await.unwrap().1.up_to_date);
    stream.append_and_close("the last words").await;
    assert_eq!(reader.next().await.unwrap().raw, "event: data\ndata:the last words");
    let control = reader.next().await.unwrap().control();
    assert!(control.closed && control.next_offset == offset(14), "{control:?}");
    assert_eq!(reader.next().await, None);
    assert!(reader.ended_cleanly);
}

#[tokio::test]
async fn whoever_comes_to_a_closed_stream_learns_of_the_end_at_once() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    stream.append_and_close("[1,2]").await;
    let tail = stream.tail().await;
    for at in [tail.as_str(), "now"] {
        let response = stream.read(&format!("offset={at}")).await.expect(200);
        assert_eq!((response.text().as_str(), response.closed()), ("[]", true));
        let response = stream.read(&format!("offset={at}&live=long-poll")).await.expect(204);
        assert!(response.closed() && response.up_to_date() && response.next_offset() == tail);
        let (data, last) = stream.sse(at).await.to_end().await;
        let last = last.unwrap();
        assert!(data.is_empty() && last.closed && last.up_to_date && last.next_offset == tail);
    }
    let response = stream.read("offset=-1&live=long-poll").await.expect(200);
    assert_eq!((response.text().as_str(), response.closed()), ("[1,2]", true));
    let (data, last) = stream.sse("-1").await.to_end().await;
    assert_eq!((data, last.unwrap().closed), (vec!["[1,2]".to_owned()], true));
}

#[tokio::test]
async fn a_closed_stream_refuses_appends_and_says_where_it_ends() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append_and_close("x").await;
    let wrong_type = stream.post("y").header("Stream-Seq", "0");
    for request in [stream.post("y"), stream.post("y").header("Stream-Closed", "true"), wrong_type]
    {
        let refused = stream.send(&request).await.expect_problem(409, "stream_closed");
        assert!(refused.closed() && refused.next_offset() == offset(1), "{refused:?}");
    }
    let mut other = stream.clone();
    other.content_type = "application/json".into();
    for body in ["{}", "not json"] {
        // The closure comes before whatever else is wrong.
        let refused = other.send(&other.post(body)).await.expect_problem(409, "stream_closed");
        assert!(refused.closed());
    }
    let again = stream.close().await;
    assert!(again.closed() && again.next_offset() == offset(1));
    assert_eq!(stream.text().await, "x");
}

#[tokio::test]
async fn only_the_value_true_closes() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for value in ["false", "1", "yes", "", "truely"] {
        let response = stream.send(&stream.post("x").header("Stream-Closed", value)).await;
        assert!(!response.expect(204).closed(), "{value:?}");
    }
    assert!(!stream.head().await.expect(200).closed());
    assert!(stream.send(&stream.post("x").header("Stream-Closed", "tRuE")).await.closed());
    assert!(stream.head().await.expect(200).closed());
}

#[tokio::test]
async fn a_stream_can_be_created_closed_and_confirmed_only_as_it_is() {
    let server = Shared::with(PATIENT);
    let stream = Stream::fresh(server.address(), "text/plain");
    let closed = stream.put().header("Stream-Closed", "true").body("all of it");
    let created = stream.send(&closed).await.expect(201);
    assert!(created.closed() && created.next_offset() == offset(9));
    assert!(stream.send(&closed).await.expect(200).closed());
    stream.send(&stream.put()).await.expect_problem(409, "stream_exists");
    let open = Stream::create(server.address(), "text/plain").await;
    let closed = open.put().header("Stream-Closed", "true");
    open.send(&closed).await.expect_problem(409, "stream_exists");
    assert!(!open.send(&open.put()).await.expect(200).closed());
}

#[tokio::test]
async fn closing_and_appending_at_once_lets_exactly_one_order_win() {
    let server = Shared::with(PATIENT);
    for _ in 0..10 {
        let stream = Stream::create(server.address(), "text/plain").await;
        let mut reader = stream.sse("-1").await;
        let (appended, closed) = tokio::join!(append_if_open(&stream, "a"), async {
            stream.close().await.next_offset()
        });
        let text = stream.text().await;
        assert_eq!(text, if appended { "a" } else { "" });
        assert_eq!(stream.tail().await, closed, "nothing comes after the closing");
        let (data, last) = reader.to_end().await;
        assert_eq!((data.concat(), last.unwrap().closed), (text, true));
    }
}

/// Appends; tells whether the stream was still open.
async fn append_if_open(stream: &Stream, body: &str) -> bool {
    let response = stream.send(&stream.post(body)).await;
    if response.status == 204 {
        return true;
    }
    response.expect_problem(409, "stream_closed");
    false
}
