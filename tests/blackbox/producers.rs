//! Idempotent producers: exactly once and in order, whatever is retried, pipelined or raced.

use std::time::Duration;

use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::{Connection, Response, Stream};

fn numbers(response: &Response) -> (Option<&str>, Option<&str>) {
    (response.header("producer-epoch"), response.header("producer-seq"))
}

#[tokio::test]
async fn a_hundred_appends_pipelined_on_one_socket_arrive_once_and_in_order() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let request = |seq: u64| stream.post(format!("{seq}\n")).producer("p", 0, seq).encode();
    let mut connection = Connection::open(stream.address).await;
    let all: Vec<u8> = (0..100).flat_map(request).collect();
    connection.write(&all).await;
    for seq in 0..100 {
        let response = connection.response("POST").await.expect(200);
        assert_eq!(numbers(&response), (Some("0"), Some(seq.to_string().as_str())));
    }
    // A client that saw no answer sends everything again.
    connection.write(&all).await;
    for _ in 0..100 {
        let response = connection.response("POST").await.expect(204);
        assert_eq!(numbers(&response), (Some("0"), Some("99")), "the highest that was accepted");
    }
    let expected: String = (0..100).map(|seq| format!("{seq}\n")).collect();
    assert_eq!(stream.text().await, expected);
}

#[tokio::test]
async fn appends_over_many_sockets_at_once_are_retried_into_order() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let sends = (0..40u64).rev().map(|seq| {
        let stream = stream.clone();
        tokio::spawn(async move {
            let request = stream.post(format!("{seq}\n")).producer("p", 3, seq);
            let mut connection = Connection::open(stream.address).await;
            loop {
                let response = connection.send(&request).await;
                if response.status == 200 {
                    return;
                }
                // An unknown producer must begin at 0, in whichever epoch.
                let response = response.expect_problem(409, "sequence_gap");
                let expected = response.header("producer-expected-seq").unwrap();
                assert!(expected.parse::<u64>().unwrap() < seq);
                assert_eq!(response.header("producer-received-seq").unwrap(), seq.to_string());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap();
    }
    let expected: String = (0..40).map(|seq| format!("{seq}\n")).collect();
    assert_eq!(stream.text().await, expected);
}

#[tokio::test]
async fn the_same_append_over_many_sockets_at_once_is_written_once() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for seq in 0..10 {
        let sends = (0..8).map(|_| {
            let stream = stream.clone();
            tokio::spawn(async move {
                stream.send(&stream.post(format!("{seq}\n")).producer("p", 0, seq)).await.status
            })
        });
        let mut statuses = Vec::new();
        for send in sends.collect::<Vec<_>>() {
            statuses.push(send.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 204, 204, 204, 204, 204, 204, 204]);
    }
    assert_eq!(stream.text().await.lines().count(), 10);
}

#[tokio::test]
async fn a_new_epoch_fences_the_old_one() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let post = |epoch, seq, text: &str| stream.post(text).producer("p", epoch, seq);
    stream.send(&post(0, 0, "a")).await.expect(200);
    stream.send(&post(0, 1, "b")).await.expect(200);
    stream.send(&post(5, 1, "x")).await.expect_problem(400, "epoch_not_at_zero");
    stream.send(&post(5, 0, "c")).await.expect(200);
    for (epoch, seq) in [(0, 0), (0, 1), (0, 2), (4, 0)] {
        let refused = stream.send(&post(epoch, seq, "x")).await.expect_problem(403, "stale_epoch");
        assert_eq!(refused.header("producer-epoch"), Some("5"));
    }
    stream.send(&post(5, 0, "x")).await.expect(204);
    let gap = stream.send(&post(5, 2, "x")).await.expect_problem(409, "sequence_gap");
    assert_eq!(gap.header("producer-expected-seq"), Some("1"));
    stream.send(&post(5, 1, "d")).await.expect(200);
    assert_eq!(stream.text().await, "abcd");
}

#[tokio::test]
async fn producers_do_not_know_each_other() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for (id, text) in [("p", "a"), ("P", "b"), ("p ", "c"), ("ü 🦀", "d"), ("pp", "e")] {
        // A trailing space is no part of a header's value.
        let status = if id == "p " { 204 } else { 200 };
        stream.send(&stream.post(text).producer(id, 0, 0)).await.expect(status);
    }
    assert_eq!(stream.text().await, "abde");
}

#[tokio::test]
async fn the_append_that_closed_can_be_repeated_and_no_other() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.send(&stream.post("a").producer("p", 0, 0)).await.expect(200);
    let closing = stream.post("b").producer("p", 0, 1).header("Stream-Closed", "true");
    assert!(stream.send(&closing).await.expect(200).closed());
    let again = stream.send(&closing).await.expect(204);
    assert!(again.closed(), "{again:?}");
    assert_eq!(numbers(&again), (Some("0"), Some("1")));
    for refused in [
        stream.post("c").producer("p", 0, 2),
        stream.post("c").producer("p", 1, 0),
        stream.post("c").producer("q", 0, 0),
        stream.post("c"),
        stream.post("b").header("Stream-Closed", "true"),
    ] {
        let response = stream.send(&refused).await.expect_problem(409, "stream_closed");
        assert!(response.closed() && response.next_offset() == stream.tail().await);
    }
    assert_eq!(stream.text().await, "ab");
}

#[tokio::test]
async fn a_mere_closing_of_a_producer_is_204_and_can_be_repeated() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.send(&stream.post("a").producer("p", 0, 0)).await.expect(200);
    let closing = stream.post_close().producer("p", 0, 1);
    for _ in 0..2 {
        let response = stream.send(&closing).await;
        assert!(matches!(response.status, 200 | 204) && response.closed(), "{response:?}");
        assert_eq!(numbers(&response), (Some("0"), Some("1")));
    }
    assert!(stream.close().await.closed(), "a plain closing is idempotent too");
}

#[tokio::test]
async fn a_refused_append_leaves_no_trace_in_the_producers_state() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    let post = |body: &str, seq| stream.post(body).producer("p", 0, seq);
    stream.send(&post("1", 0).header("Stream-Seq", "b")).await.expect(200);
    stream.send(&post("{", 1)).await.expect_problem(400, "invalid_json");
    let stale = post("2", 1).header("Stream-Seq", "a");
    stream.send(&stale).await.expect_problem(409, "seq_regression");
    let equal = post("2", 1).header("Stream-Seq", "b");
    stream.send(&equal).await.expect_problem(409, "seq_regression");
    stream.send(&post("2", 1).header("Stream-Seq", "c")).await.expect(200);
    // A duplicate is recognized before its Stream-Seq is looked at.
    stream.send(&post("2", 1).header("Stream-Seq", "c")).await.expect(204);
    assert_eq!(stream.read("").await.text(), "[1,2]");
}

#[tokio::test]
async fn stream_seq_is_compared_byte_by_byte_and_scoped_to_the_stream() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for (seq, status) in [("09", 204), ("1", 204), ("10", 204), ("2", 204), ("10", 409), ("2", 409)]
    {
        stream.send(&stream.post("x").header("Stream-Seq", seq)).await.expect(status);
    }
    stream.append("no sequence").await;
    stream.send(&stream.post("x").header("Stream-Seq", "2")).await.expect(409);
    stream.send(&stream.post("x").header("Stream-Seq", "é".as_bytes())).await.expect(204);
}
