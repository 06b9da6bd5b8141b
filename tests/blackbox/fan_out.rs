//! Many readers of one stream: each gets everything once, and none is slowed down by another.

use std::time::Duration;

use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::reader::{Mode, follow};
use streamkeeper_tests::{Connection, Stream, within};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_get_every_message_once() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut readers = Vec::new();
    for _ in 0..1000 {
        let mut reader = stream.sse("-1").await;
        reader.step().await.unwrap();
        readers.push(tokio::spawn(async move { reader.to_end().await }));
    }
    let lines: Vec<String> = (0..30).map(|i| i.to_string()).collect();
    for line in &lines {
        stream.append(format!("{line}\n")).await;
    }
    stream.close().await;
    for reader in readers {
        let (data, last) = within("a reader", reader).await.unwrap();
        assert!(data.concat().lines().eq(lines.iter().map(String::as_str)));
        assert!(last.unwrap().closed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_long_polls_follow_a_busy_stream_together() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let readers: Vec<_> =
        (0..50).map(|_| tokio::spawn(follow(stream.clone(), Mode::LongPoll))).collect();
    let lines: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    for line in &lines {
        stream.append(format!("{line}\n")).await;
    }
    stream.close().await;
    for reader in readers {
        let got = reader.await.unwrap();
        assert_eq!((got.errors, &got.lines), (0, &lines));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_holds_nobody_up() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut deaf = Vec::new();
    for _ in 0..10 {
        let mut connection = Connection::open(stream.address).await;
        connection.write(&stream.get("offset=-1&live=sse").encode()).await;
        deaf.push(connection);
    }
    let mut reader = stream.sse("-1").await;
    let reading = tokio::spawn(async move {
        let (mut bytes, mut closed) = (0, false);
        while let Some((data, control)) = reader.step().await {
            bytes += data.map_or(0, |data| data.len());
            closed |= control.closed;
        }
        (bytes, closed)
    });
    // Far more than the sockets' buffers take.
    let body = "x".repeat(256 << 10);
    for _ in 0..64 {
        within("an append", stream.append(body.clone())).await;
    }
    stream.close().await;
    let (bytes, closed) = within("the reader that reads", reading).await.unwrap();
    assert_eq!((bytes, closed), (64 * body.len(), true));
    drop(deaf);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_and_go_do_no_harm() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let steady = tokio::spawn(follow(stream.clone(), Mode::Sse));
    let restless = stream.clone();
    let coming_and_going = tokio::spawn(async move {
        for i in 0..150 {
            let live = if i % 2 == 0 { "sse" } else { "long-poll" };
            let mut connection = Connection::open(restless.address).await;
            let request = restless.get(&format!("offset=-1&live={live}"));
            connection.write(&request.encode()).await;
            // Some leave before the answer, some after its beginning.
            if i % 3 == 0 {
                let _ = timeout(Duration::from_millis(20), connection.head()).await;
            }
        }
    });
    for i in 0..200 {
        stream.append(format!("{i}\n")).await;
    }
    coming_and_going.await.unwrap();
    stream.close().await;
    let got = steady.await.unwrap();
    assert_eq!(got.lines, (0..200).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_readers_agree_on_one_order() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let readers: Vec<_> = [Mode::Sse, Mode::LongPoll, Mode::Sse]
        .map(|mode| tokio::spawn(follow(stream.clone(), mode)))
        .into();
    let writers = (0..8).map(|writer| {
        let stream = stream.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(stream.address).await;
            for i in 0..40 {
                connection.send(&stream.post(format!("{writer} {i}\n"))).await.expect(204);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    stream.close().await;
    let text = stream.text().await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 8 * 40);
    for writer in 0..8 {
        let prefix = format!("{writer} ");
        let own = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
        assert!(own.map(|i| i.parse::<u32>().unwrap()).eq(0..40), "each writer's order is kept");
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap().lines, lines);
    }
}
