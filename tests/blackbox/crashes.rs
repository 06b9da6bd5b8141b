//! A stream's actor panics while it is busy: what was acknowledged is there once and in order, its
//! readers miss nothing, and its siblings notice nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use streamkeeper::supervisor::{Backoff, StandardPolicy};
use streamkeeper::{AppendRequest, ContentType, StreamName};
use streamkeeper_storage::StorageError;
use streamkeeper_tests::faulty::{PANIC, PANIC_AFTER, PANIC_ONCE, Pace};
use streamkeeper_tests::reader::{Got, Mode, follow};
use streamkeeper_tests::stream::MOUNT;
use streamkeeper_tests::{Connection, InProcess, Setup, Stream, eventually, within};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const WRITERS: u64 = 8;

/// A server that starts crashed streams again without end, and without long waits.
async fn indestructible() -> InProcess {
    let backoff = Backoff { max: Duration::from_millis(20), ..Backoff::default() };
    let policy = StandardPolicy::transient().intensity(1_000_000, Duration::from_secs(1));
    Setup { policy: policy.backoff(backoff), ..Setup::default() }.start().await
}

/// Appends as a producer that repeats what it has no answer for; returns how many failed attempts.
async fn write(stream: Stream, writer: u64, count: u64) -> u64 {
    let mut connection = Connection::open(stream.address).await;
    let id = format!("writer {writer}");
    let mut failures = 0;
    for seq in 0..count {
        let request = stream.post(format!("{writer} {seq}\n")).producer(&id, 0, seq);
        while !matches!(connection.send(&request).await.status, 200 | 204) {
            failures += 1;
            sleep(Duration::from_millis(3)).await;
        }
    }
    failures
}

fn readers(stream: &Stream) -> Vec<JoinHandle<Got>> {
    let modes = [Mode::LongPoll, Mode::Sse].into_iter().cycle().take(40);
    modes.map(|mode| tokio::spawn(follow(stream.clone(), mode))).collect()
}

/// Lets the stream crash now and then until it is told to stop.
fn crash_now_and_then(stream: &Stream, over: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (stream, over) = (stream.clone(), over.clone());
    tokio::spawn(async move {
        let mut crashes = 0;
        while !over.load(Ordering::Relaxed) {
            stream.send(&stream.post(PANIC)).await.expect(503);
            crashes += 1;
            sleep(Duration::from_millis(30)).await;
        }
        crashes
    })
}

/// Asserts that each writer's lines are there once and in order.
fn assert_whole(lines: &[impl AsRef<str>], count: u64) {
    assert_eq!(lines.len() as u64, WRITERS * count);
    for writer in 0..WRITERS {
        let prefix = format!("{writer} ");
        let own = lines.iter().filter_map(|line| line.as_ref().strip_prefix(&prefix));
        assert!(own.map(|seq| seq.parse::<u64>().unwrap()).eq(0..count), "writer {writer}");
    }
}

async fn everybody_survives(pace: Pace, count: u64) {
    let server = indestructible().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let sibling = Stream::create(server.address, "text/plain").await;
    server.storage.pace(pace);
    let (of_stream, of_sibling) = (readers(&stream), readers(&sibling));
    let over = Arc::new(AtomicBool::new(false));
    let crashing = crash_now_and_then(&stream, &over);
    let write_all = |stream: &Stream, count: u64| -> Vec<_> {
        (0..WRITERS).map(|writer| tokio::spawn(write(stream.clone(), writer, count))).collect()
    };
    let (to_stream, to_sibling) = (write_all(&stream, count), write_all(&sibling, count));
    for writer in to_sibling {
        assert_eq!(writer.await.unwrap(), 0, "a sibling's writer saw an error");
    }
    for writer in to_stream {
        writer.await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    assert!(crashing.await.unwrap() > 0);
    sibling.close().await;
    let close = stream.post_close();
    eventually("it is closed", async || stream.send(&close).await.status == 204).await;
    for (stream, readers) in [(&stream, of_stream), (&sibling, of_sibling)] {
        let text = stream.text().await;
        let lines: Vec<&str> = text.lines().collect();
        assert_whole(&lines, count);
        for reader in readers {
            let got = within("a reader", reader).await.unwrap();
            assert!(got.lines == lines, "a reader missed something or got it twice");
            if stream.path == sibling.path {
                assert_eq!(got.errors, 0, "a sibling's reader saw an error");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_storage_that_is_durable_at_once_nothing_is_lost() {
    everybody_survives(Pace::AtOnce, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_commits_in_flight_nothing_is_lost() {
    everybody_survives(Pace::After(Duration::from_millis(5)), 30).await;
}

/// A request may reach the mailbox in the very moment that its owner ends: it must not be forgotten
/// there. By the embedding API, because sockets are too slow to hit that moment; and with more threads
/// than processors, so that a sender is interrupted in it now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_request_is_answered_however_often_the_stream_crashes() {
    let policy = StandardPolicy::transient().intensity(u32::MAX, Duration::from_secs(1));
    let server = Setup { policy: policy.backoff(Backoff::NONE), ..Setup::default() }.start().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let name = StreamName::from_path(&stream.path[MOUNT.len() + 1..]).unwrap();
    server.storage.refuse_all(Some(StorageError::Unavailable("injected".into())));
    let request = AppendRequest {
        content_type: Some(ContentType::parse("text/plain").unwrap()),
        body: "x".into(),
        ..AppendRequest::default()
    };
    let clients = (0..32).map(|_| {
        let (keeper, name, request) = (server.keeper.clone(), name.clone(), request.clone());
        tokio::spawn(async move {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(2) {
                let answer = within("an answer", keeper.append(&name, request.clone())).await;
                assert!(answer.is_err(), "{answer:?}");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("every request is answered");
    }
    server.storage.refuse_all(None);
    eventually("it works again", async || stream.send(&stream.post("x")).await.status == 204).await;
    assert_eq!(stream.text().await, "x");
}

#[tokio::test]
async fn an_append_that_was_written_before_the_crash_is_not_written_again() {
    let server = indestructible().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let mut reader = stream.sse("-1").await;
    reader.step().await.unwrap();
    let request = stream.post(PANIC_AFTER).producer("p", 0, 0);
    let crashed = stream.send(&request).await.expect_problem(503, "outcome_unknown");
    assert!(crashed.header("retry-after").is_some());
    eventually("the repeated append is a duplicate", async || {
        stream.send(&request).await.status == 204
    })
    .await;
    assert_eq!(stream.bytes().await, PANIC_AFTER);
    assert_eq!(reader.step().await.unwrap().0.unwrap().as_bytes(), PANIC_AFTER);
}

#[tokio::test]
async fn an_append_that_was_not_written_before_the_crash_is_written_by_its_retry() {
    let server = indestructible().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let request = stream.post(PANIC_ONCE).producer("p", 0, 0);
    stream.send(&request).await.expect_problem(503, "outcome_unknown");
    assert_eq!(stream.text().await, "");
    eventually("it is written", async || stream.send(&request).await.status == 200).await;
    assert_eq!(stream.bytes().await, PANIC_ONCE);
}

#[tokio::test]
async fn a_crash_while_creating_leaves_the_name_free() {
    let server = indestructible().await;
    let stream = Stream::fresh(server.address, "text/plain");
    for _ in 0..8 {
        let crashed = stream.send(&stream.put().body(PANIC)).await;
        assert_eq!(crashed.status, 503, "{crashed:?}");
    }
    eventually("it is created", async || stream.send(&stream.put()).await.status == 201).await;
    stream.append("works").await;
    assert_eq!(stream.text().await, "works");
}

#[tokio::test]
async fn waiting_readers_survive_a_crash_without_noticing() {
    let server = indestructible().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let tail = stream.append("before").await;
    let poll = stream.long_poll(&tail).await;
    let mut reader = stream.sse("-1").await;
    reader.catch_up().await;
    stream.send(&stream.post(PANIC)).await.expect(503);
    eventually("it is appended", async || stream.send(&stream.post("after")).await.status == 204)
        .await;
    assert_eq!(streamkeeper_tests::stream::answer(poll).await.expect(200).text(), "after");
    assert_eq!(reader.step().await.unwrap().0.as_deref(), Some("after"));
    assert!(stream.read("").await.expect(200).header("etag").is_some());
}

/// Crashes a stream beyond its intensity.
async fn quarantine(stream: &Stream) {
    eventually("it is quarantined", async || {
        let response = stream.send(&stream.post(PANIC)).await;
        assert_eq!(response.status, 503, "{response:?}");
        response.text().contains("\"quarantined\"")
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_crashes_too_often_is_quarantined_and_can_still_be_read() {
    let server = Setup::default().start().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let sibling = Stream::create(server.address, "text/plain").await;
    stream.append("kept").await;
    quarantine(&stream).await;
    for request in [stream.post("x"), stream.post_close(), stream.put()] {
        let response = stream.send(&request).await.expect_problem(503, "quarantined");
        assert!(response.header("retry-after").is_some());
        assert!(response.text().contains("injected"), "the reason is told: {response:?}");
    }
    let read = stream.read("").await.expect(200);
    assert_eq!((read.text().as_str(), read.up_to_date()), ("kept", true));
    assert_eq!(stream.head().await.expect(200).next_offset(), read.next_offset());
    let history = stream.read("offset=-1&live=long-poll").await.expect(200);
    assert_eq!(history.text(), "kept");
    sibling.append("a sibling goes on").await;
    sibling.delete().await.expect(204);
}

/// It will not be restarted, so `restarting` would promise too much.
#[tokio::test]
async fn live_readers_at_the_tail_of_a_quarantined_stream_are_told_so() {
    let server = Setup::default().start().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let tail = stream.append("kept").await;
    quarantine(&stream).await;
    for live in ["long-poll", "sse"] {
        let response = stream.read(&format!("offset={tail}&live={live}")).await;
        let response = response.expect_problem(503, "quarantined");
        assert!(response.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn readers_who_wait_when_a_stream_is_quarantined_are_let_go() {
    let server = Setup::default().start().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let tail = stream.append("kept").await;
    let poll = stream.long_poll(&tail).await;
    let mut reader = stream.sse("-1").await;
    reader.catch_up().await;
    quarantine(&stream).await;
    let response = streamkeeper_tests::stream::answer(poll).await.expect(503);
    assert!(response.header("retry-after").is_some(), "{response:?}");
    let (data, last) = reader.to_end().await;
    assert!(data.is_empty() && last.is_none_or(|last| !last.closed));
}
