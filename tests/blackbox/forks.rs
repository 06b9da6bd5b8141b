//! Forks: what they read, where they branch off, and that they are streams of their own.

use streamkeeper_tests::binary::{PATIENT, SMALL_PAGES, Shared};
use streamkeeper_tests::in_process::OTHER_MOUNT;
use streamkeeper_tests::reader::{Mode, follow};
use streamkeeper_tests::stream::{answer, fresh_name, offset};
use streamkeeper_tests::{Setup, Stream};

/// Forks a stream at an offset and a sub-offset, both as header values; empty ones are left out.
async fn fork(source: &Stream, at: &str, sub: &str) -> Stream {
    let fork = Stream::fresh(source.address, &source.content_type);
    let mut put = fork.put_fork(source);
    for (name, value) in [("Stream-Fork-Offset", at), ("Stream-Fork-Sub-Offset", sub)] {
        if !value.is_empty() {
            put = put.header(name, value);
        }
    }
    fork.send(&put).await.expect(201);
    fork
}

#[tokio::test]
async fn a_fork_reads_its_source_up_to_the_point_and_then_itself() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append("one ").await;
    let middle = source.append("two ").await;
    source.append("three ").await;
    for (at, inherited) in
        [("", "one two three "), (&middle, "one two "), (&offset(0), ""), (&offset(4), "one ")]
    {
        let fork = fork(&source, at, "").await;
        assert_eq!(fork.text().await, inherited);
        assert_eq!(fork.tail().await, offset(inherited.len()), "offsets are the source's");
        let next = fork.append("own ").await;
        assert_eq!(next, offset(inherited.len() + 4));
        assert_eq!(fork.text().await, format!("{inherited}own "));
        let own = fork.read(&format!("offset={}", offset(inherited.len()))).await;
        assert_eq!(own.text(), "own ");
    }
    source.append("four").await;
    assert_eq!(source.text().await, "one two three four");
}

#[tokio::test]
async fn a_chain_of_four_with_points_inside_messages_reads_whole_at_small_pages() {
    let server = Shared::with(SMALL_PAGES);
    let mut stream = Stream::create(server.address(), "application/octet-stream").await;
    let mut expected: Vec<u8> = Vec::new();
    for generation in 0..5u8 {
        for message in 0..6u8 {
            let body = vec![b'a' + generation * 5 + message % 5; 200 + usize::from(message) * 170];
            stream.append(body.clone()).await;
            expected.extend(body);
        }
        assert_eq!(stream.bytes().await, expected, "generation {generation}");
        if generation == 4 {
            break;
        }
        // Branch off inside the third of this generation's messages.
        let begin = expected.len() - [200usize, 370, 540, 710, 880, 1050].iter().sum::<usize>();
        let anchor = begin + 200 + 370;
        stream = fork(&stream, &offset(anchor), "123").await;
        expected.truncate(anchor + 123);
        assert_eq!(stream.tail().await, offset(expected.len()));
        assert_eq!(stream.bytes().await, expected);
    }
    // From everywhere, and by every mode.
    for from in (0..expected.len()).step_by(97) {
        let read: Vec<u8> =
            stream.walk(&offset(from)).await.into_iter().flat_map(|page| page.body).collect();
        assert!(expected.ends_with(&read) && read.len() >= expected.len() - from, "from {from}");
        assert!(read.len() < expected.len() - from + 1050, "one message too many, from {from}");
    }
    stream.close().await;
    let mut at = "-1".to_owned();
    let mut read = Vec::new();
    loop {
        let page = stream.read(&format!("offset={at}&live=long-poll")).await.expect(200);
        (at, read) = (page.next_offset(), [read, page.body.clone()].concat());
        if page.closed() {
            break;
        }
    }
    assert_eq!(read, expected);
}

#[tokio::test]
async fn live_reads_of_a_fork_cross_the_boundary_and_never_see_the_source_go_on() {
    let server = Shared::with(SMALL_PAGES);
    let source = Stream::create(server.address(), "text/plain").await;
    let lines =
        |from: usize, to: usize| (from..to).map(|i| format!("line {i}")).collect::<Vec<_>>();
    for line in lines(0, 200) {
        source.append(format!("{line}\n")).await;
    }
    let fork = fork(&source, "", "").await;
    let readers = [Mode::LongPoll, Mode::Sse].map(|mode| tokio::spawn(follow(fork.clone(), mode)));
    let waiting = fork.long_poll(&fork.tail().await).await;
    source.append("of the source\n").await;
    source.close().await;
    for line in lines(200, 300) {
        fork.append(format!("{line}\n")).await;
    }
    assert_eq!(answer(waiting).await.expect(200).text(), "line 200\n");
    fork.close().await;
    for reader in readers {
        let got = reader.await.unwrap();
        assert_eq!((got.errors, got.lines), (0, lines(0, 300)));
    }
}

#[tokio::test]
async fn json_forks_count_messages() {
    let server = Shared::with(SMALL_PAGES);
    let source = Stream::create(server.address(), "application/json").await;
    source.append("[1,22,333]").await;
    let anchor = source.append("[4444,55555]").await;
    source.append("6").await;
    for (at, sub, inherited) in [
        (offset(0), "0", "[]"),
        (offset(0), "1", "[1]"),
        (offset(0), "4", "[1,22,333,4444]"),
        (offset(0), "6", "[1,22,333,4444,55555,6]"),
        (offset(2), "1", "[1,22]"),
        (anchor.clone(), "1", "[1,22,333,4444,55555,6]"),
        (anchor.clone(), "", "[1,22,333,4444,55555]"),
    ] {
        let fork = fork(&source, &at, sub).await;
        assert_eq!(fork.read("").await.text(), inherited, "{at} + {sub}");
        fork.append("\"own\"").await;
        let all = fork.read("").await.text();
        let separator = if inherited == "[]" { "" } else { "," };
        assert_eq!(all, format!("{}{separator}\"own\"]", &inherited[..inherited.len() - 1]));
    }
    let (overshoot, misaligned) = ("invalid_fork_sub_offset", "invalid_fork_offset");
    for (at, sub, code) in [
        (offset(0), "7", overshoot),
        (anchor, "2", overshoot),
        (offset(1), "0", misaligned),
        (offset(3), "1", misaligned),
    ] {
        let fork = Stream::fresh(server.address(), "application/json");
        let put = fork.put_fork(&source).header("Stream-Fork-Offset", at);
        let put = put.header("Stream-Fork-Sub-Offset", sub);
        fork.send(&put).await.expect_problem(400, code);
    }
}

#[tokio::test]
async fn a_fork_inherits_the_type_and_takes_no_other() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "application/json; v=1").await;
    source.append("[1]").await;
    let fork = Stream::fresh(server.address(), "application/json");
    let created = fork.send(&fork.put_fork(&source).body("[2,3]")).await.expect(201);
    assert_eq!(created.header("content-type"), Some("application/json; v=1"));
    assert_eq!(fork.read("").await.text(), "[1,2,3]");
    fork.send(&fork.put_fork(&source).header("Content-Type", "application/json")).await.expect(200);
    let bad = Stream::fresh(server.address(), "text/plain");
    let put = bad.put_fork(&source).header("Content-Type", "text/plain");
    bad.send(&put).await.expect_problem(409, "content_type_mismatch");
    let bad_body = bad.put_fork(&source).body("{");
    bad.send(&bad_body).await.expect_problem(400, "invalid_json");
}

#[tokio::test]
async fn a_fork_of_a_closed_stream_is_open_and_a_fork_can_be_closed() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append_and_close("finished").await;
    let open = fork(&source, "", "").await;
    assert!(!open.read("").await.closed());
    open.append(" or not").await;
    assert_eq!(open.text().await, "finished or not");
    let closed = Stream::fresh(server.address(), "text/plain");
    let put = closed.put_fork(&source).header("Stream-Closed", "true");
    assert!(closed.send(&put).await.expect(201).closed());
    assert!(closed.read("").await.closed() && closed.text().await == "finished");
}

#[tokio::test]
async fn a_fork_inherits_no_writers() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    let post = |stream: &Stream, seq| stream.post("x").producer("p", 3, seq);
    source.send(&post(&source, 0).header("Stream-Seq", "5")).await.expect(200);
    source.send(&post(&source, 1).header("Stream-Seq", "6")).await.expect(200);
    let fork = fork(&source, "", "").await;
    fork.send(&post(&fork, 2)).await.expect_problem(409, "sequence_gap");
    fork.send(&fork.post("y").producer("p", 0, 0).header("Stream-Seq", "1")).await.expect(200);
    source.send(&post(&source, 2)).await.expect(200);
    assert_eq!((fork.text().await, source.text().await), ("xxy".into(), "xxx".into()));
}

#[tokio::test]
async fn creating_a_fork_again_confirms_it() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append("one").await;
    let other = Stream::create(server.address(), "text/plain").await;
    other.append("one").await;
    let fork = Stream::fresh(server.address(), "text/plain");
    let put = |source: &Stream, at: usize, sub: &str| {
        let put = fork.put_fork(source).header("Stream-Fork-Offset", offset(at));
        put.header("Stream-Fork-Sub-Offset", sub)
    };
    fork.send(&put(&source, 0, "2")).await.expect(201);
    source.append("two").await;
    fork.append("own").await;
    fork.send(&put(&source, 0, "2")).await.expect(200);
    for different in [put(&source, 0, "3"), put(&source, 3, "0"), put(&other, 0, "2"), fork.put()] {
        fork.send(&different).await.expect_problem(409, "stream_exists");
    }
    assert_eq!(fork.text().await, "onown");
    // A fork at the tail of the day is confirmed though the tail has moved.
    let tail = Stream::fresh(server.address(), "text/plain");
    tail.send(&tail.put_fork(&source)).await.expect(201);
    source.append("three").await;
    tail.send(&tail.put_fork(&source)).await.expect(200);
    let plain = Stream::create(server.address(), "text/plain").await;
    plain.send(&plain.put_fork(&source)).await.expect_problem(409, "stream_exists");
    source.send(&source.put_fork(&source)).await.expect_problem(409, "stream_exists");
}

#[tokio::test]
async fn forks_are_named_by_paths_below_the_same_mount() {
    let server = Setup::default().start().await;
    let name = fresh_name();
    let source = Stream::at(server.address, format!("/v1/stream/{name}"), "text/plain");
    source.send(&source.put().body("hello")).await.expect(201);
    let elsewhere = Stream::at(server.address, format!("{OTHER_MOUNT}/{name}"), "text/plain");
    assert_eq!(elsewhere.text().await, "hello", "one system, two mounts");
    let fork = Stream::at(server.address, format!("{OTHER_MOUNT}/{name}/fork"), "text/plain");
    for outside in [&source.path, "/elsewhere", "/elsewhere/deepx/a", "elsewhere/deep/a", &name] {
        let put = fork.put().header("Stream-Forked-From", outside);
        fork.send(&put).await.expect_problem(404, "fork_source_not_found");
    }
    let created = fork.send(&fork.put_fork(&elsewhere)).await.expect(201);
    assert!(created.header("location").unwrap().ends_with(&format!("{OTHER_MOUNT}/{name}/fork")));
    assert_eq!(fork.text().await, "hello");
    let encoded = Stream::at(server.address, format!("/v1/stream/{name}/other"), "text/plain");
    let path = format!("/v1/stream/{}", name.replace('/', "%2F"));
    encoded.send(&encoded.put().header("Stream-Forked-From", path)).await.expect(201);
    let root = Stream::at(server.address, OTHER_MOUNT, "text/plain");
    root.send(&root.put()).await.expect_problem(404, "stream_name_missing");
}

/// The fork's own name begins with a slash, which must not confuse where its source is.
#[tokio::test]
async fn a_fork_with_an_odd_name_finds_its_source() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append("hello").await;
    for name in ["/odd", "odd/", "odd//", "odd/__ds", "%2Fodd", "odd%20"] {
        let path = format!("/v1/stream/{name}{}", fresh_name().replace('/', ""));
        let fork = Stream::at(server.address(), path, "text/plain");
        fork.send(&fork.put_fork(&source)).await.expect(201);
        assert_eq!(fork.text().await, "hello", "{}", fork.path);
    }
}

#[tokio::test]
async fn many_forks_at_once_of_a_stream_that_grows_are_all_whole() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    let writer = source.clone();
    let writing = tokio::spawn(async move {
        for i in 0..60 {
            writer.append(format!("{i}\n")).await;
        }
    });
    let mut forks = Vec::new();
    for _ in 0..20 {
        forks.push(fork(&source, "", "").await);
    }
    writing.await.unwrap();
    let whole = source.text().await;
    for fork in forks {
        let text = fork.text().await;
        assert!(whole.starts_with(&text) && (text.is_empty() || text.ends_with('\n')));
        assert_eq!(fork.tail().await, offset(text.len()));
    }
}
