//! A storage that fails: what was not written is not there, what is retried is written once, and a
//! full disk is not the end of a stream.

use std::time::Duration;

use streamkeeper::Limits;
use streamkeeper_storage::StorageError;
use streamkeeper_tests::faulty::Pace;
use streamkeeper_tests::reader::{Mode, follow};
use streamkeeper_tests::stream::{answer, in_background};
use streamkeeper_tests::{InProcess, Response, Setup, Stream, eventually};
use tokio::time::sleep;

fn unavailable() -> StorageError {
    StorageError::Unavailable("injected".into())
}

async fn start() -> (InProcess, Stream) {
    let server = Setup::default().start().await;
    let stream = Stream::create(server.address, "text/plain").await;
    (server, stream)
}

/// Sends the request until it is accepted; only a restart may keep it waiting.
async fn until_accepted(stream: &Stream, request: &streamkeeper_tests::Request) -> Response {
    let mut last = None;
    eventually("it is accepted", async || {
        let response = stream.send(request).await;
        let accepted = response.status < 300;
        assert!(accepted || response.status == 503, "{response:?}");
        last = Some(response);
        accepted
    })
    .await;
    last.unwrap()
}

#[tokio::test]
async fn an_append_that_fails_leaves_no_trace_and_its_retry_is_written_once() {
    let (server, stream) = start().await;
    stream.send(&stream.post("a").producer("p", 0, 0).header("Stream-Seq", "1")).await.expect(200);
    let request = stream.post("b").producer("p", 0, 1).header("Stream-Seq", "2");
    for later in [false, true] {
        match later {
            false => server.storage.refuse_next(unavailable()),
            true => server.storage.fail_next(unavailable()),
        }
        let failed = stream.send(&request).await.expect_problem(503, "storage_unavailable");
        assert!(failed.header("retry-after").is_some(), "{failed:?}");
        assert_eq!(stream.text().await, "a");
    }
    until_accepted(&stream, &request).await.expect(200);
    stream.send(&request).await.expect(204);
    assert_eq!(stream.text().await, "ab");
    assert_eq!(stream.tail().await, streamkeeper_tests::stream::offset(2));
}

#[tokio::test]
async fn when_one_append_fails_those_in_flight_behind_it_fail_too() {
    let (server, stream) = start().await;
    let mut reader = stream.sse("-1").await;
    reader.step().await.unwrap();
    server.storage.pace(Pace::OnCommand);
    let mut waiting = Vec::new();
    for seq in 0..4 {
        let request = stream.post(format!("{seq}\n")).producer("p", 0, seq);
        waiting.push(in_background(stream.address, request).await);
        server.storage.until_held(&stream.path, waiting.len()).await;
    }
    server.storage.complete(&stream.path);
    server.storage.fail_held(&stream.path, &unavailable());
    let mut statuses = Vec::new();
    for append in waiting {
        statuses.push(answer(append).await.status);
    }
    assert_eq!(statuses, [200, 503, 503, 503]);
    server.storage.pace(Pace::AtOnce);
    // The producer repeats everything that it has no answer for, and to be sure, all of it.
    for seq in 0..4 {
        let request = stream.post(format!("{seq}\n")).producer("p", 0, seq);
        let response = until_accepted(&stream, &request).await;
        assert_eq!(response.status, if seq == 0 { 204 } else { 200 });
    }
    stream.close().await;
    assert_eq!(stream.text().await, "0\n1\n2\n3\n");
    let (data, last) = reader.to_end().await;
    assert_eq!((data.concat().as_str(), last.unwrap().closed), ("0\n1\n2\n3\n", true));
}

#[tokio::test]
async fn a_creation_and_a_deletion_that_fail_did_not_happen() {
    let (server, stream) = start().await;
    stream.append("kept").await;
    server.storage.pace(Pace::OnCommand);
    let delete = streamkeeper_tests::Request::new("DELETE", &stream.path);
    let deleting = in_background(stream.address, delete).await;
    server.storage.until_held(&stream.path, 1).await;
    server.storage.fail_held(&stream.path, &unavailable());
    answer(deleting).await.expect(503);
    assert_eq!(stream.text().await, "kept");
    let other = Stream::fresh(server.address, "text/plain");
    let creating = in_background(server.address, other.put().body("x")).await;
    server.storage.until_held(&other.path, 1).await;
    server.storage.fail_held(&other.path, &unavailable());
    answer(creating).await.expect(503);
    assert_eq!(other.head().await.status, 404);
    server.storage.pace(Pace::AtOnce);
    until_accepted(&other, &other.put().body("y")).await.expect(201);
    assert_eq!(other.text().await, "y");
}

#[tokio::test]
async fn a_full_storage_is_507_and_reads_and_later_appends_go_on() {
    let (server, stream) = start().await;
    stream.append("before").await;
    let mut reader = stream.sse("-1").await;
    reader.catch_up().await;
    // More often than a crashing stream would be started again.
    for _ in 0..12 {
        server.storage.refuse_next(StorageError::Full);
        let response = stream.send(&stream.post("x")).await.expect_problem(507, "storage_full");
        assert!(response.header("retry-after").is_some());
        assert_eq!(stream.text().await, "before");
    }
    stream.append(" after").await;
    assert_eq!(reader.step().await.unwrap().0.as_deref(), Some(" after"));
}

/// A backend that writes in the background learns of the full disk later. That must not count as a
/// crash: the stream would be quarantined, and stay so when there is space again.
#[tokio::test]
async fn a_storage_that_learns_late_that_it_is_full_does_not_cost_the_stream() {
    let (server, stream) = start().await;
    stream.append("before").await;
    for _ in 0..12 {
        server.storage.fail_next(StorageError::Full);
        let response = stream.send(&stream.post("x")).await;
        assert!(matches!(response.status, 503 | 507), "{response:?}");
    }
    // There is space again.
    let response = stream.send(&stream.post(" after")).await;
    assert_eq!(response.status, 204, "{response:?}");
    assert_eq!(stream.text().await, "before after");
}

/// The one in flight becomes durable; it must not be told that the storage is full.
#[tokio::test]
async fn an_append_in_flight_is_not_answered_with_the_failure_of_a_later_one() {
    let (server, stream) = start().await;
    server.storage.pace(Pace::OnCommand);
    let first = in_background(stream.address, stream.post("first")).await;
    server.storage.until_held(&stream.path, 1).await;
    server.storage.refuse_next(StorageError::Full);
    let second = in_background(stream.address, stream.post("second")).await;
    server.storage.pace(Pace::AtOnce);
    let (first, second) = (answer(first).await, answer(second).await);
    assert_eq!(stream.text().await, "first");
    assert_eq!(second.status, 507, "{second:?}");
    assert_eq!(first.status, 204, "it was written: {first:?}");
}

/// What was accepted before a crash may become durable after it: a restart must wait for that, or
/// every commit conflicts and the stream is restarted into quarantine.
#[tokio::test]
async fn a_restart_waits_for_commits_that_are_still_in_flight() {
    let (server, stream) = start().await;
    server.storage.pace(Pace::After(Duration::from_millis(700)));
    let first = in_background(stream.address, stream.post("first\n").producer("p", 0, 0)).await;
    server.storage.until_held(&stream.path, 1).await;
    let panic = stream.post(streamkeeper_tests::faulty::PANIC);
    stream.send(&panic).await.expect(503);
    // The client of the first append has no answer, or 503, and goes on trying.
    let crashed = answer(first).await;
    assert!(matches!(crashed.status, 200 | 503), "{crashed:?}");
    let again = stream.post("first\n").producer("p", 0, 0);
    let next = stream.post("second\n").producer("p", 0, 1);
    for request in [again, next] {
        eventually("the stream works again", async || {
            let response = stream.send(&request).await;
            assert!(
                !response.text().contains("quarantined"),
                "one crash is no reason for quarantine: {response:?}"
            );
            response.status < 300
        })
        .await;
    }
    assert_eq!(stream.text().await, "first\nsecond\n");
}

#[tokio::test]
async fn other_errors_of_the_storage_have_their_codes() {
    let (server, _) = start().await;
    for (error, status, code) in [
        (StorageError::Fenced, 503, "storage_fenced"),
        (StorageError::Conflict, 503, "storage_conflict"),
        (StorageError::Corrupt("injected".into()), 500, "storage_corrupt"),
    ] {
        let stream = Stream::create(server.address, "text/plain").await;
        stream.append("kept").await;
        server.storage.refuse_next(error);
        stream.send(&stream.post("x")).await.expect_problem(status, code);
        assert_eq!(stream.text().await, "kept");
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_loaded_is_unavailable_not_absent() {
    let (server, _) = start().await;
    for (error, status, code) in [
        (unavailable(), 503, "storage_unavailable"),
        (StorageError::Corrupt("injected".into()), 500, "storage_corrupt"),
    ] {
        let stream = Stream::fresh(server.address, "text/plain");
        server.storage.fail_loads(Some(error));
        for request in [stream.get(""), stream.put(), stream.post("x")] {
            stream.send(&request).await.expect_problem(status, code);
        }
        stream.delete().await.expect_problem(status, code);
        stream.read("offset=-1&live=sse").await.expect_problem(status, code);
        server.storage.fail_loads(None);
        stream.send(&stream.put()).await.expect(201);
    }
}

#[tokio::test]
async fn a_restart_that_cannot_load_is_tried_again() {
    let (server, stream) = start().await;
    stream.append("kept ").await;
    let mut reader = stream.sse("-1").await;
    reader.catch_up().await;
    server.storage.fail_loads(Some(unavailable()));
    stream.send(&stream.post(streamkeeper_tests::faulty::PANIC)).await.expect(503);
    sleep(Duration::from_millis(15)).await;
    server.storage.fail_loads(None);
    until_accepted(&stream, &stream.post("and more")).await.expect(204);
    assert_eq!(stream.text().await, "kept and more");
    assert_eq!(reader.step().await.unwrap().0.as_deref(), Some("and more"));
}

#[tokio::test]
async fn a_fork_that_cannot_be_written_does_not_hold_its_source() {
    let (server, source) = start().await;
    source.append("x").await;
    let fork = Stream::fresh(server.address, "text/plain");
    server.storage.pace(Pace::OnCommand);
    let creating = in_background(server.address, fork.put_fork(&source)).await;
    server.storage.until_held(&source.path, 1).await;
    server.storage.complete(&source.path);
    server.storage.until_held(&fork.path, 1).await;
    server.storage.fail_held(&fork.path, &unavailable());
    server.storage.pace(Pace::AtOnce);
    answer(creating).await.expect(503);
    assert_eq!(fork.head().await.status, 404);
    source.delete().await.expect(204);
    eventually("nothing holds the source", async || source.head().await.status == 404).await;
}

#[tokio::test]
async fn reads_that_fail_are_told_and_lose_nothing() {
    let limits = Limits { recent_bytes_per_stream: 0, ..Limits::default() };
    let mut setup = Setup { limits, ..Setup::default() };
    setup.options.page_bytes = 1024;
    let server = setup.start().await;
    let stream = Stream::create(server.address, "text/plain").await;
    let line = format!("{}\n", "x".repeat(600));
    for _ in 0..20 {
        stream.append(line.clone()).await;
    }
    for (error, status, code) in [
        (unavailable(), 503, "storage_unavailable"),
        (StorageError::Corrupt("injected".into()), 500, "storage_corrupt"),
    ] {
        server.storage.fail_reads(Some(error));
        for query in ["offset=-1", "offset=-1&live=long-poll", "offset=-1&live=sse"] {
            stream.read(query).await.expect_problem(status, code);
        }
        server.storage.fail_reads(None);
    }
    // Readers in the middle of the stream are cut off, come back, and miss nothing.
    let readers =
        [Mode::Sse, Mode::LongPoll].map(|mode| tokio::spawn(follow(stream.clone(), mode)));
    for round in 0..40 {
        server.storage.fail_reads((round % 2 == 0).then(unavailable));
        stream.append(line.clone()).await;
        sleep(Duration::from_millis(3)).await;
    }
    server.storage.fail_reads(None);
    stream.close().await;
    for reader in readers {
        let got = reader.await.unwrap();
        assert_eq!(got.lines.len(), 60);
        assert!(got.lines.iter().all(|got| *got == line.trim_end()));
    }
}
