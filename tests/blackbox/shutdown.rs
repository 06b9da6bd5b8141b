//! SIGTERM: readers end in order, what is in flight is answered, and the process ends well in time.

use std::time::Duration;

use streamkeeper_conformance::Server;
use streamkeeper_tests::binary::{self, address_of};
use streamkeeper_tests::stream::answer;
use streamkeeper_tests::{Connection, Request, Stream, settle, within};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

const FLAGS: &[&str] =
    &["--long-poll-timeout", "40s", "--sse-lifetime", "60s", "--shutdown-timeout", "4s"];

fn start() -> Server {
    binary::start(FLAGS)
}

/// Sends SIGTERM, and asserts that the process then ends by itself and well.
async fn terminate(server: Server) {
    let ended = spawn_blocking(move || server.terminate(Duration::from_secs(12)));
    let status = within("the end of the process", ended).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test]
async fn live_readers_end_and_an_append_in_flight_is_answered() {
    let server = start();
    let stream = Stream::create(address_of(&server), "text/plain").await;
    let tail = stream.append("hello").await;
    let poll = stream.long_poll(&tail).await;
    let mut reader = stream.sse("-1").await;
    reader.catch_up().await;
    let mut idle = Connection::open(stream.address).await;
    idle.send(&stream.get("")).await.expect(200);
    let mut writer = Connection::open(stream.address).await;
    let append = stream.post("in flight").encode();
    let (first, second) = append.split_at(append.len() - 4);
    writer.write(first).await;
    settle().await;
    let ending = tokio::spawn(terminate(server));
    let response = answer(poll).await.expect(204);
    assert!(response.up_to_date() && !response.closed() && response.next_offset() == tail);
    let (data, last) = reader.to_end().await;
    assert!(data.is_empty() && last.is_none_or(|last| !last.closed), "the stream goes on");
    assert!(reader.ended_cleanly);
    // The rest of the body comes while the server is already shutting down.
    writer.write(second).await;
    let response = writer.response("POST").await.expect(204);
    assert_eq!(response.next_offset(), streamkeeper_tests::stream::offset(14));
    assert_eq!(writer.until_end().await, b"");
    assert_eq!(idle.until_end().await, b"");
    ending.await.unwrap();
}

#[tokio::test]
async fn a_terminating_server_accepts_nobody() {
    let server = start();
    let address = address_of(&server);
    terminate(server).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn clients_that_never_finish_do_not_keep_the_server() {
    let server = start();
    let stream = Stream::create(address_of(&server), "text/plain").await;
    let mut stuck = Vec::new();
    // Half a head, half a body, a reader that does not read, and one that says nothing at all.
    for bytes in [
        b"GET /v1/stream/x HT".to_vec(),
        stream.post("x").head("Content-Length: 100\r\n"),
        stream.get("offset=-1&live=sse").encode(),
        Vec::new(),
    ] {
        let mut connection = Connection::open(stream.address).await;
        connection.write(&bytes).await;
        stuck.push(connection);
    }
    for _ in 0..20 {
        stream.append("x".repeat(1 << 20)).await;
    }
    terminate(server).await;
    drop(stuck);
}

#[tokio::test]
async fn a_busy_server_ends_in_time_and_every_answer_is_true() {
    let server = start();
    let stream = Stream::create(address_of(&server), "text/plain").await;
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let stream = stream.clone();
            tokio::spawn(async move {
                let mut connection = Connection::open(stream.address).await;
                let mut answered = 0;
                loop {
                    connection.write(&stream.post("x").encode()).await;
                    match connection.try_response("POST").await {
                        Some(response) if response.status == 204 => answered += 1,
                        Some(response) => {
                            assert_eq!(response.status, 503, "{response:?}");
                            return answered;
                        }
                        None => return answered,
                    }
                }
            })
        })
        .collect();
    let mut reader = stream.sse("-1").await;
    let reading = tokio::spawn(async move {
        let (data, last) = reader.to_end().await;
        (data.concat().len(), last, reader.ended_cleanly)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    terminate(server).await;
    let mut answered = 0;
    for writer in writers {
        answered += within("a writer", writer).await.unwrap();
    }
    let (read, last, cleanly) = within("the reader", reading).await.unwrap();
    assert!(answered > 0 && cleanly, "answered {answered}");
    assert_eq!(last.unwrap().next_offset, streamkeeper_tests::stream::offset(read));
}

#[tokio::test]
async fn nothing_that_is_said_of_health_is_wrong_before_the_end() {
    let server = start();
    let mut connection = Connection::open(address_of(&server)).await;
    let ready = Request::new("GET", "/readyz");
    connection.send(&ready).await.expect(200);
    terminate(server).await;
    assert_eq!(connection.until_end().await, b"");
}
