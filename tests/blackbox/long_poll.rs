//! Long-polls: what they wait for, how long, and the cursor.

use streamkeeper_tests::Stream;
use streamkeeper_tests::binary::{BRISK, PATIENT, Shared};
use streamkeeper_tests::stream::{answer, offset};

#[tokio::test]
async fn without_news_a_long_poll_ends_with_204_and_a_cursor() {
    let server = Shared::with(BRISK);
    let stream = Stream::create(server.address(), "text/plain").await;
    let tail = stream.append("hello").await;
    let response = stream.read(&format!("offset={tail}&live=long-poll")).await.expect(204);
    assert_eq!((response.next_offset(), response.body.len()), (tail, 0));
    assert!(response.up_to_date() && !response.closed() && response.cursor().is_some());
    response.expect_browser_headers();
}

#[tokio::test]
async fn the_cursor_is_always_past_the_clients() {
    let server = Shared::with(BRISK);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let mut cursor = stream.read("offset=-1&live=long-poll").await.cursor().unwrap();
    for _ in 0..5 {
        let query = format!("offset=-1&live=long-poll&cursor={cursor}");
        let next = stream.read(&query).await.expect(200).cursor().unwrap();
        assert!(next > cursor && next - cursor <= 180, "at most an hour of intervals: {next}");
        cursor = next;
    }
    let query = format!("offset=now&live=long-poll&cursor={cursor}");
    assert!(stream.read(&query).await.expect(204).cursor().unwrap() > cursor);
}

#[tokio::test]
async fn readers_without_a_cursor_or_behind_share_one() {
    let server = Shared::with(BRISK);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let mut cursors = Vec::new();
    for cursor in ["", "&cursor=1", "&cursor=junk", "&cursor=-5", "&cursor=99999999999999999999"] {
        let query = format!("offset=-1&live=long-poll{cursor}");
        cursors.push(stream.read(&query).await.expect(200).cursor().unwrap());
    }
    // The interval may pass while we ask, once.
    assert!(cursors.iter().all(|cursor| *cursor <= cursors[0] + 1), "{cursors:?}");
}

#[tokio::test]
async fn a_long_poll_behind_the_tail_answers_at_once() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("one").await;
    stream.append("two").await;
    for (at, text) in [("-1".to_owned(), "onetwo"), (offset(3), "two")] {
        let response = stream.read(&format!("offset={at}&live=long-poll")).await.expect(200);
        assert_eq!((response.text().as_str(), response.up_to_date()), (text, true));
        assert_eq!(response.next_offset(), offset(6));
    }
}

#[tokio::test]
async fn a_long_poll_from_past_the_tail_waits_at_the_tail() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let waiting = stream.long_poll(&offset(999)).await;
    stream.append("news").await;
    assert_eq!(answer(waiting).await.expect(200).text(), "news");
}

#[tokio::test]
async fn everybody_who_waits_gets_the_news() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    let mut waiting = Vec::new();
    for _ in 0..30 {
        let stream = stream.clone();
        waiting.push(tokio::spawn(async move { stream.read("offset=-1&live=long-poll").await }));
    }
    streamkeeper_tests::settle().await;
    stream.append(r#"{"n": 1}"#).await;
    for poll in waiting {
        let response = answer(poll).await.expect(200);
        assert_eq!(response.text(), r#"[{"n":1}]"#);
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert!(response.cursor().is_some());
    }
}

#[tokio::test]
async fn a_reader_that_goes_on_by_long_polls_misses_nothing_of_a_busy_stream() {
    let server = Shared::with(BRISK);
    let stream = Stream::create(server.address(), "text/plain").await;
    let writer = stream.clone();
    let writing = tokio::spawn(async move {
        for i in 0..200 {
            writer.append(format!("{i}\n")).await;
        }
        writer.close().await;
    });
    let got =
        streamkeeper_tests::reader::follow(stream, streamkeeper_tests::reader::Mode::LongPoll)
            .await;
    writing.await.unwrap();
    assert_eq!(got.lines, (0..200).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(got.errors, 0);
}

#[tokio::test]
async fn a_client_that_gives_up_while_it_waits_does_no_harm() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for _ in 0..50 {
        let mut connection = streamkeeper_tests::Connection::open(stream.address).await;
        connection.write(&stream.get("offset=-1&live=long-poll").encode()).await;
    }
    let waiting = stream.long_poll("-1").await;
    stream.append("news").await;
    assert_eq!(answer(waiting).await.expect(200).text(), "news");
}
