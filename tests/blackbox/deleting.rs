//! Deleting a stream ends its live readers, and a new stream under the old name is another stream.

use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::stream::answer;
use streamkeeper_tests::{Request, Stream};

#[tokio::test]
async fn deletion_ends_live_readers() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let tail = stream.append("hello").await;
    let mut polls = Vec::new();
    for _ in 0..5 {
        polls.push(stream.long_poll(&tail).await);
    }
    let mut readers = Vec::new();
    for _ in 0..5 {
        let mut reader = stream.sse("-1").await;
        reader.catch_up().await;
        readers.push(reader);
    }
    stream.delete().await.expect(204);
    for poll in polls {
        answer(poll).await.expect_problem(404, "stream_not_found");
    }
    for mut reader in readers {
        let (data, last) = reader.to_end().await;
        assert!(data.is_empty(), "{data:?}");
        assert!(last.is_none_or(|last| !last.closed), "a deletion is no orderly end");
        assert!(reader.ended_cleanly);
    }
}

#[tokio::test]
async fn a_deleted_stream_is_gone_for_every_method() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("x").await;
    stream.delete().await.expect(204);
    stream.delete().await.expect_problem(404, "stream_not_found");
    assert_eq!(stream.head().await.status, 404);
    let queries = ["", "offset=now", "offset=-1&live=long-poll", "offset=-1&live=sse"];
    for query in queries {
        stream.read(query).await.expect_problem(404, "stream_not_found");
    }
    for request in [stream.post("x"), stream.post_close(), stream.post("")] {
        stream.send(&request).await.expect_problem(404, "stream_not_found");
    }
}

#[tokio::test]
async fn readers_of_the_old_stream_never_see_data_of_the_new_one() {
    let server = Shared::with(PATIENT);
    for _ in 0..20 {
        let stream = Stream::create(server.address(), "text/plain").await;
        let tail = stream.append("old").await;
        let mut reader = stream.sse("-1").await;
        reader.catch_up().await;
        let poll = stream.long_poll(&tail).await;
        // On one connection, so that nothing comes between.
        let mut connection = streamkeeper_tests::Connection::open(stream.address).await;
        let delete = Request::new("DELETE", &stream.path);
        let mut bytes = delete.encode();
        bytes.extend(stream.put().body("new and longer").encode());
        bytes.extend(stream.post("and more").encode());
        connection.write(&bytes).await;
        for status in [204, 201, 204] {
            connection.response("POST").await.expect(status);
        }
        answer(poll).await.expect_problem(404, "stream_not_found");
        let (data, last) = reader.to_end().await;
        assert!(data.is_empty() && last.is_none_or(|last| !last.closed), "{data:?}");
        assert_eq!(stream.text().await, "new and longerand more");
    }
}

#[tokio::test]
async fn an_etag_of_the_old_stream_never_matches_the_new_one() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("same").await;
    let etag = stream.read("offset=-1").await.header("etag").unwrap().to_owned();
    let conditional = stream.get("offset=-1").header("If-None-Match", &etag);
    stream.send(&conditional).await.expect(304);
    stream.delete().await.expect(204);
    stream.send(&stream.put()).await.expect(201);
    stream.append("else").await;
    assert_eq!(stream.send(&conditional).await.expect(200).text(), "else");
}

#[tokio::test]
async fn a_new_stream_knows_nothing_of_the_old_ones_producers_and_sequences() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let first = stream.post("x").producer("p", 7, 0).header("Stream-Seq", "9");
    stream.send(&first).await.expect(200);
    stream.send(&stream.post("y").producer("p", 7, 1)).await.expect(200);
    stream.close().await;
    stream.delete().await.expect(204);
    let mut other = stream.clone();
    other.content_type = "text/html".into();
    other.send(&other.put()).await.expect(201);
    assert!(!other.head().await.closed());
    other.send(&other.post("z").producer("p", 0, 0).header("Stream-Seq", "1")).await.expect(200);
    assert_eq!(other.text().await, "z");
}

#[tokio::test]
async fn many_who_create_and_delete_at_once_leave_a_stream_or_none() {
    let server = Shared::with(PATIENT);
    let stream = Stream::fresh(server.address(), "text/plain");
    let workers = (0..8).map(|worker| {
        let stream = stream.clone();
        tokio::spawn(async move {
            for round in 0..15 {
                let request = match (worker + round) % 3 {
                    0 => stream.put(),
                    1 => stream.post("x"),
                    _ => Request::new("DELETE", &stream.path),
                };
                let status = stream.send(&request).await.status;
                assert!(matches!(status, 200 | 201 | 204 | 404), "{request:?}: {status}");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let status = stream.head().await.status;
    assert!(matches!(status, 200 | 404));
    stream.send(&stream.put()).await;
    stream.append("still works").await;
    stream.delete().await.expect(204);
}
