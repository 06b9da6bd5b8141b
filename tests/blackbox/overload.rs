//! More requests than the limits allow: refused with 503 and `Retry-After`, and taken again when
//! there is room.

use streamkeeper::{Limits, REQUEST_OVERHEAD};
use streamkeeper_tests::binary::Shared;
use streamkeeper_tests::faulty::Pace;
use streamkeeper_tests::stream::{answer, in_background};
use streamkeeper_tests::{Connection, InProcess, Setup, Stream};

/// Room for so many empty requests in all and at one stream.
async fn start(all: usize, one: usize) -> InProcess {
    let limits = Limits {
        pending_bytes: all * REQUEST_OVERHEAD,
        pending_bytes_per_stream: one * REQUEST_OVERHEAD,
        ..Limits::default()
    };
    Setup { limits, ..Setup::default() }.start().await
}

async fn assert_overloaded(stream: &Stream) {
    let response = stream.send(&stream.post("x")).await.expect_problem(503, "overloaded");
    assert!(response.header("retry-after").is_some(), "{response:?}");
}

#[tokio::test]
async fn beyond_the_limit_of_a_stream_appends_are_refused_until_there_is_room() {
    let server = start(1000, 5).await;
    let stream = Stream::create(server.address, "text/plain").await;
    let sibling = Stream::create(server.address, "text/plain").await;
    server.storage.pace(Pace::OnCommand);
    let mut waiting = Vec::new();
    for count in 1..=4 {
        waiting.push(in_background(stream.address, stream.post("x")).await);
        server.storage.until_held(&stream.path, count).await;
    }
    // Four requests of one byte leave less than one request's room.
    assert_overloaded(&stream).await;
    assert_overloaded(&stream).await;
    assert_eq!(stream.read("").await.expect(200).text(), "", "reads need no room");
    let of_sibling = in_background(sibling.address, sibling.post("y")).await;
    server.storage.until_held(&sibling.path, 1).await;
    server.storage.complete(&stream.path);
    answer(waiting.remove(0)).await.expect(204);
    waiting.push(in_background(stream.address, stream.post("x")).await);
    server.storage.until_held(&stream.path, 4).await;
    server.storage.pace(Pace::AtOnce);
    for append in waiting {
        answer(append).await.expect(204);
    }
    answer(of_sibling).await.expect(204);
    stream.append("z").await;
    assert_eq!(stream.text().await, "xxxxxz");
}

#[tokio::test]
async fn beyond_the_limit_of_the_server_every_stream_refuses() {
    let server = start(4, 4).await;
    let streams = [
        Stream::create(server.address, "text/plain").await,
        Stream::create(server.address, "text/plain").await,
    ];
    server.storage.pace(Pace::OnCommand);
    let mut waiting = Vec::new();
    for stream in [&streams[0], &streams[0], &streams[1]] {
        waiting.push(in_background(stream.address, stream.post("x")).await);
    }
    server.storage.until_held(&streams[0].path, 2).await;
    server.storage.until_held(&streams[1].path, 1).await;
    for stream in &streams {
        assert_overloaded(stream).await;
    }
    server.storage.pace(Pace::AtOnce);
    for append in waiting {
        answer(append).await.expect(204);
    }
    for stream in &streams {
        stream.append("y").await;
    }
}

#[tokio::test]
async fn an_overloaded_server_answers_large_bodies_and_keeps_the_connection() {
    let server = start(64, 64).await;
    let stream = Stream::create(server.address, "application/octet-stream").await;
    let mut connection = Connection::open(stream.address).await;
    for _ in 0..3 {
        let response = connection.send(&stream.post(vec![1; 10 << 20])).await;
        response.expect_problem(503, "overloaded");
        connection.send(&stream.post(vec![1; 32 << 10])).await.expect(204);
    }
    assert_eq!(stream.bytes().await.len(), 3 * (32 << 10));
}

#[tokio::test]
async fn the_binary_counts_bodies_from_their_first_byte() {
    let server = Shared::with(&["--max-body", "1000", "--max-pending", "4KiB"]);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(stream.address).await;
        let post = stream.post("").header("Expect", "100-continue");
        connection.write(&post.head("Content-Length: 300\r\n")).await;
        // The server is ready to read the body, so it has made room for it: 1 KiB before the first byte.
        assert_eq!(connection.head().await.unwrap().status, 100);
        slow.push(connection);
    }
    for _ in 0..3 {
        assert_overloaded(&stream).await;
    }
    stream.read("").await.expect(200);
    for connection in &mut slow {
        connection.write(&[b'x'; 300]).await;
        connection.response("POST").await.expect(204);
    }
    stream.append("z".repeat(900)).await;
}

#[tokio::test]
async fn requests_that_fail_give_their_room_back() {
    let server = start(3, 3).await;
    let stream = Stream::create(server.address, "application/json").await;
    let missing = Stream::fresh(server.address, "text/plain");
    for round in 0..10 {
        stream.send(&stream.post("{")).await.expect(400);
        stream.send(&stream.post("[]")).await.expect(400);
        missing.send(&missing.post("x")).await.expect(404);
        stream.send(&stream.post("1").producer("p", 0, 9)).await.expect(409);
        let mut connection = Connection::open(stream.address).await;
        connection.write(&stream.post("").head("Content-Length: 1000\r\n")).await;
        connection.half_close().await;
        connection.until_end().await;
        stream.append(round.to_string()).await;
    }
    assert_eq!(stream.read("").await.text(), "[0,1,2,3,4,5,6,7,8,9]");
}

#[tokio::test]
async fn a_storm_is_answered_request_by_request_and_leaves_a_working_server() {
    let server = start(8, 8).await;
    let stream = Stream::create(server.address, "text/plain").await;
    server.storage.pace(Pace::After(std::time::Duration::from_millis(3)));
    let clients = (0..30).map(|_| {
        let stream = stream.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(stream.address).await;
            let mut accepted = 0;
            for _ in 0..20 {
                let response = connection.send(&stream.post("x")).await;
                match response.status {
                    204 => accepted += 1,
                    _ => drop(response.expect_problem(503, "overloaded")),
                }
            }
            accepted
        })
    });
    let mut accepted = 0;
    for client in clients.collect::<Vec<_>>() {
        accepted += client.await.unwrap();
    }
    assert!(accepted > 0);
    assert_eq!(stream.text().await.len(), accepted, "what was refused is not there");
    stream.append("y").await;
}
