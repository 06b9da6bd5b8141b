//! Nothing is answered and nothing is seen before it is durable, and answers come in order.

use futures::FutureExt;
use streamkeeper_storage::StorageError;
use streamkeeper_tests::faulty::Pace;
use streamkeeper_tests::stream::{answer, in_background, offset};
use streamkeeper_tests::{InProcess, Request, Response, Setup, Stream, settle};
use tokio::task::JoinHandle;

/// A server whose storage holds commits back, and a stream that was created before.
async fn start() -> (InProcess, Stream) {
    let server = Setup::default().start().await;
    let stream = Stream::create(server.address, "text/plain").await;
    server.storage.pace(Pace::OnCommand);
    (server, stream)
}

/// Sends a request whose commit is then held as the `count`th.
async fn held(
    server: &InProcess,
    stream: &Stream,
    request: Request,
    count: usize,
) -> JoinHandle<Response> {
    let waiting = in_background(stream.address, request).await;
    server.storage.until_held(&stream.path, count).await;
    waiting
}

/// Asserts that a request has no answer yet.
async fn unanswered(waiting: &mut JoinHandle<Response>) {
    settle().await;
    if let Some(early) = waiting.now_or_never() {
        panic!("answered too early: {:?}", early.unwrap());
    }
}

#[tokio::test]
async fn an_append_is_neither_answered_nor_seen_before_it_is_durable() {
    let (server, stream) = start().await;
    let mut reader = stream.sse("-1").await;
    reader.step().await.unwrap();
    let mut poll = stream.long_poll("-1").await;
    let mut append = held(&server, &stream, stream.post("hello"), 1).await;
    unanswered(&mut append).await;
    unanswered(&mut poll).await;
    let read = stream.read("").await.expect(200);
    assert_eq!((read.text().as_str(), read.next_offset()), ("", offset(0)));
    assert_eq!(stream.tail().await, offset(0));
    let (data, control) = stream.sse("-1").await.step().await.unwrap();
    assert_eq!((data, control.next_offset), (None, offset(0)));
    assert!(reader.next().now_or_never().is_none());
    server.storage.complete(&stream.path);
    assert_eq!(answer(append).await.expect(204).next_offset(), offset(5));
    assert_eq!(answer(poll).await.expect(200).text(), "hello");
    assert_eq!(reader.step().await.unwrap().0.as_deref(), Some("hello"));
    assert_eq!(stream.text().await, "hello");
}

#[tokio::test]
async fn appends_in_flight_are_answered_and_seen_one_after_the_other() {
    let (server, stream) = start().await;
    let mut reader = stream.sse("-1").await;
    reader.step().await.unwrap();
    let mut waiting = Vec::new();
    for (index, text) in ["one", "two", "three"].iter().enumerate() {
        waiting.push(held(&server, &stream, stream.post(*text), index + 1).await);
    }
    let mut whole = String::new();
    for (mut append, text) in waiting.into_iter().zip(["one", "two", "three"]) {
        unanswered(&mut append).await;
        assert_eq!(stream.text().await, whole);
        server.storage.complete(&stream.path);
        whole.push_str(text);
        assert_eq!(answer(append).await.expect(204).next_offset(), offset(whole.len()));
        assert_eq!(stream.text().await, whole);
        assert_eq!(reader.step().await.unwrap().0.as_deref(), Some(text));
    }
}

#[tokio::test]
async fn appends_pipelined_on_one_socket_are_in_flight_one_by_one_and_all_arrive() {
    let (server, stream) = start().await;
    server.storage.pace(Pace::After(std::time::Duration::from_millis(2)));
    let mut connection = streamkeeper_tests::Connection::open(stream.address).await;
    let all: Vec<u8> = (0..50u64)
        .flat_map(|seq| stream.post(format!("{seq},")).producer("p", 0, seq).encode())
        .collect();
    connection.write(&all).await;
    for _ in 0..50 {
        connection.response("POST").await.expect(200);
    }
    assert_eq!(stream.text().await, (0..50).map(|seq| format!("{seq},")).collect::<String>());
}

#[tokio::test]
async fn a_duplicate_waits_for_the_append_that_it_repeats() {
    let (server, stream) = start().await;
    let request = stream.post("once").producer("p", 0, 0);
    let first = held(&server, &stream, request.clone(), 1).await;
    let mut second = in_background(stream.address, request).await;
    unanswered(&mut second).await;
    assert_eq!(server.storage.held(&stream.path), 1, "a duplicate writes nothing");
    server.storage.complete(&stream.path);
    answer(first).await.expect(200);
    let second = answer(second).await.expect(204);
    assert_eq!((second.header("producer-seq"), second.next_offset()), (Some("0"), offset(4)));
    assert_eq!(stream.text().await, "once");
}

#[tokio::test]
async fn a_refusal_waits_for_what_it_was_decided_upon() {
    let (server, stream) = start().await;
    let close = held(&server, &stream, stream.post_close(), 1).await;
    let mut append = in_background(stream.address, stream.post("late")).await;
    unanswered(&mut append).await;
    assert!(!stream.head().await.closed(), "the closing is not durable yet");
    server.storage.complete(&stream.path);
    assert!(answer(close).await.expect(204).closed());
    assert!(answer(append).await.expect_problem(409, "stream_closed").closed());
}

#[tokio::test]
async fn a_refusal_upon_a_failed_closing_is_not_told() {
    let (server, stream) = start().await;
    let close = held(&server, &stream, stream.post_close(), 1).await;
    let append = in_background(stream.address, stream.post("late")).await;
    server.storage.fail_held(&stream.path, &StorageError::Unavailable("injected".into()));
    answer(close).await.expect(503);
    // The stream was never closed, so 409 would be a lie.
    answer(append).await.expect(503);
    server.storage.pace(Pace::AtOnce);
    stream.append("open").await;
    assert!(!stream.head().await.closed());
}

#[tokio::test]
async fn a_stream_is_not_there_before_its_creation_is_durable() {
    let (server, _) = start().await;
    let stream = Stream::fresh(server.address, "text/plain");
    let mut first = held(&server, &stream, stream.put().body("hello"), 1).await;
    let mut second = in_background(stream.address, stream.put()).await;
    let mut append = held(&server, &stream, stream.post("!"), 2).await;
    for waiting in [&mut first, &mut second, &mut append] {
        unanswered(waiting).await;
    }
    stream.read("").await.expect_problem(404, "stream_not_found");
    assert_eq!(stream.head().await.status, 404);
    server.storage.complete(&stream.path);
    answer(first).await.expect(201);
    answer(second).await.expect(200);
    unanswered(&mut append).await;
    assert_eq!(stream.text().await, "hello");
    server.storage.complete(&stream.path);
    answer(append).await.expect(204);
    assert_eq!(stream.text().await, "hello!");
}

#[tokio::test]
async fn a_stream_is_there_until_its_deletion_is_durable() {
    let (server, stream) = start().await;
    let delete = Request::new("DELETE", &stream.path);
    let mut delete = held(&server, &stream, delete, 1).await;
    let mut poll = stream.long_poll("-1").await;
    let mut append = in_background(stream.address, stream.post("late")).await;
    let mut again = in_background(stream.address, stream.put().header("Stream-TTL", "99")).await;
    for waiting in [&mut delete, &mut poll, &mut append, &mut again] {
        unanswered(waiting).await;
    }
    stream.read("").await.expect(200);
    server.storage.pace(Pace::AtOnce);
    answer(delete).await.expect(204);
    answer(poll).await.expect_problem(404, "stream_not_found");
    answer(append).await.expect_problem(404, "stream_not_found");
    answer(again).await.expect(201);
    assert_eq!(stream.head().await.header("stream-ttl"), Some("99"));
}

#[tokio::test]
async fn append_and_close_is_seen_as_one() {
    let (server, stream) = start().await;
    let closing = stream.post("last").header("Stream-Closed", "true");
    let mut closing = held(&server, &stream, closing, 1).await;
    let mut reader = stream.sse("-1").await;
    assert!(!reader.step().await.unwrap().1.closed);
    unanswered(&mut closing).await;
    server.storage.complete(&stream.path);
    assert!(answer(closing).await.expect(204).closed());
    let (data, last) = reader.step().await.unwrap();
    assert_eq!((data.as_deref(), last.closed), (Some("last"), true));
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn a_fork_sees_only_what_is_durable_of_its_source() {
    let (server, stream) = start().await;
    let append = held(&server, &stream, stream.post("pending"), 1).await;
    let fork = Stream::fresh(server.address, "text/plain");
    let mut created = in_background(server.address, fork.put_fork(&stream)).await;
    unanswered(&mut created).await;
    server.storage.pace(Pace::AtOnce);
    answer(append).await.expect(204);
    answer(created).await.expect(201);
    let text = fork.text().await;
    assert!(text == "pending" || text.is_empty());
    assert_eq!(fork.tail().await, offset(text.len()));
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_changes_nothing() {
    let (server, stream) = start().await;
    let mut connection = streamkeeper_tests::Connection::open(stream.address).await;
    connection.write(&stream.post("left").producer("p", 0, 0).encode()).await;
    server.storage.until_held(&stream.path, 1).await;
    drop(connection);
    let waiting = held(&server, &stream, stream.post("stayed").producer("p", 0, 1), 2).await;
    server.storage.pace(Pace::AtOnce);
    answer(waiting).await.expect(200);
    assert_eq!(stream.text().await, "leftstayed");
    stream.send(&stream.post("left").producer("p", 0, 0)).await.expect(204);
}
