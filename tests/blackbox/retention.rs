//! Retention through the real binary: what a policy lets go is gone for readers, who are told so, and
//! its space is given back.

use std::fs;
use std::path::Path;

use streamkeeper_conformance::Server;
use streamkeeper_tests::binary::{address_of, start};
use streamkeeper_tests::stream::{answer, offset};
use streamkeeper_tests::{Request, Response, Stream, eventually};

const SOON: [&str; 2] = ["--retention-interval", "20ms"];

/// A server that keeps its streams in a directory, with small journal segments.
fn on_disk(dir: &Path, flags: &[&str]) -> Server {
    let dir = dir.to_str().unwrap();
    let log = ["--storage", "log", "--data-dir", dir, "--journal-segment-size", "64KiB"];
    Server::start(&[&log[..], flags].concat()).expect("the server starts")
}

fn put(stream: &Stream, policy: &[(&str, &str)]) -> Request {
    policy.iter().fold(stream.put(), |put, (limit, value)| {
        put.header(&format!("Stream-Retention-{limit}"), value)
    })
}

async fn kept_by(server: &Server, policy: &[(&str, &str)]) -> Stream {
    let stream = Stream::fresh(address_of(server), "text/plain");
    stream.send(&put(&stream, policy)).await.expect(201);
    stream
}

fn earliest(response: &Response) -> Option<&str> {
    response.header("stream-earliest-offset")
}

async fn until_earliest(stream: &Stream, position: usize) {
    let expected = offset(position);
    eventually(&format!("{expected} is the earliest offset"), async || {
        earliest(&stream.head().await.expect(200)) == Some(&expected)
    })
    .await;
}

#[tokio::test]
async fn a_policy_is_told_and_confirmed() {
    let server = start(&[]);
    let policy = [("Max-Age", "3600"), ("Max-Messages", "1000"), ("Max-Bytes", "1000000")];
    let stream = kept_by(&server, &policy).await;
    let head = stream.head().await.expect(200);
    for (limit, value) in policy {
        let header = format!("stream-retention-{}", limit.to_lowercase());
        assert_eq!(head.header(&header), Some(value));
    }
    assert_eq!(earliest(&head), None, "nothing was dropped");
    stream.send(&put(&stream, &policy)).await.expect(200);
    for other in [&policy[..2], &[], &[("Max-Messages", "1001")]] {
        stream.send(&put(&stream, other)).await.expect_problem(409, "stream_exists");
    }
    let plain = Stream::create(address_of(&server), "text/plain").await.head().await;
    assert_eq!(plain.header("stream-retention-max-messages"), None);
    let refused = Stream::fresh(address_of(&server), "text/plain");
    for bad in ["0", "-1", "1.5", "x", ""] {
        for limit in ["Max-Age", "Max-Messages", "Max-Bytes"] {
            let put = put(&refused, &[(limit, bad)]);
            refused.send(&put).await.expect_problem(400, "invalid_retention");
        }
    }
    assert_eq!(refused.head().await.status, 404);
}

/// Appends ten messages, of which the policy lets seven go.
async fn what_is_dropped_is_gone(server: &Server, policy: &[(&str, &str)]) {
    let stream = kept_by(server, policy).await;
    let mut following = stream.sse("now").await;
    following.step().await.unwrap();
    for i in 0..10 {
        let message = format!("message-{i};");
        stream.append(message.as_str()).await;
        // Whoever is at the tail does not notice.
        assert_eq!(following.step().await.unwrap().0, Some(message));
    }
    until_earliest(&stream, 70).await;
    for dropped in [0, 1, 10, 69] {
        for live in ["", "&live=long-poll", "&live=sse"] {
            let read = stream.read(&format!("offset={}{live}", offset(dropped))).await;
            let gone = read.expect_problem(410, "offset_trimmed");
            assert_eq!(earliest(&gone), Some(offset(70).as_str()), "{dropped}{live}");
        }
    }
    let rest = "message-7;message-8;message-9;";
    for from in ["-1", &offset(70)] {
        let read = stream.read(&format!("offset={from}")).await.expect(200);
        assert_eq!((read.text().as_str(), read.next_offset()), (rest, offset(100)));
    }
    assert_eq!(stream.read("").await.expect(200).text(), rest);
    let (data, _) = stream.sse("-1").await.step().await.unwrap();
    assert_eq!(data.as_deref(), Some(rest));

    let poll = stream.long_poll(&offset(100)).await;
    assert_eq!(stream.append("next").await, offset(104));
    assert_eq!(answer(poll).await.expect(200).text(), "next");
    assert_eq!(following.step().await.unwrap().0.as_deref(), Some("next"));
}

#[tokio::test]
async fn what_is_dropped_is_gone_in_memory() {
    let server = start(&SOON);
    what_is_dropped_is_gone(&server, &[("Max-Messages", "3")]).await;
    what_is_dropped_is_gone(&server, &[("Max-Bytes", "39"), ("Max-Age", "3600")]).await;
}

#[tokio::test]
async fn what_is_dropped_is_gone_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = on_disk(dir.path(), &SOON);
    what_is_dropped_is_gone(&server, &[("Max-Messages", "3")]).await;
    what_is_dropped_is_gone(&server, &[("Max-Bytes", "39"), ("Max-Age", "3600")]).await;
}

#[tokio::test]
async fn age_alone_lets_messages_go() {
    let server = start(&SOON);
    let stream = kept_by(&server, &[("Max-Age", "1")]).await;
    stream.append("old").await;
    until_earliest(&stream, 3).await;
    let read = stream.read("offset=-1").await.expect(200);
    assert_eq!(
        (read.text().as_str(), read.next_offset(), read.up_to_date()),
        ("", offset(3), true)
    );
}

#[tokio::test]
async fn memory_is_given_back() {
    let server = start(&[&SOON[..], &["--memory-limit", "256KiB"]].concat());
    let stream = kept_by(&server, &[("Max-Bytes", "65536")]).await;
    let block = 65_536;
    for i in 1..=20 {
        stream.append(vec![b'x'; block]).await;
        until_earliest_if(&stream, (i - 1) * block).await;
    }
    let plain = Stream::create(address_of(&server), "text/plain").await;
    let mut refused = 0;
    for _ in 0..5 {
        refused += usize::from(plain.send(&plain.post(vec![b'x'; block])).await.status == 507);
    }
    assert!(refused > 0, "the limit is in force");
}

async fn until_earliest_if(stream: &Stream, position: usize) {
    if position > 0 {
        until_earliest(stream, position).await;
    }
}

/// The bytes of all files below a directory.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        // Removed meanwhile.
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// A restart knows what is due, and the log's files shrink.
#[tokio::test]
async fn space_on_disk_is_given_back_after_a_restart_too() {
    const MIB: u64 = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let server = on_disk(dir.path(), &["--retention-interval", "1h"]);
    let policy = [("Max-Bytes", "65536")];
    let (mut stream, mut other) =
        (kept_by(&server, &policy).await, kept_by(&server, &policy).await);
    for _ in 0..8 {
        for i in 0..16 {
            stream.append(vec![b'a' + i; 65_536]).await;
        }
    }
    assert!(size(dir.path()) > 8 * MIB, "{}", size(dir.path()));
    assert_eq!(stream.bytes().await.len() as u64, 8 * MIB);
    drop(server);

    let server = on_disk(dir.path(), &SOON);
    stream.address = address_of(&server);
    other.address = stream.address;
    until_earliest(&stream, 8 * MIB as usize - 65_536).await;
    eventually("the files shrink", async || {
        // Garbage is collected as segments are sealed.
        other.append(vec![b'x'; 65_536]).await;
        size(dir.path()) < 2 * MIB
    })
    .await;
    assert_eq!(stream.bytes().await, vec![b'p'; 65_536]);
}
