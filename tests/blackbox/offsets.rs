//! Offsets and pages: every walk sees every message once, from wherever it begins.

use serde_json::Value;
use streamkeeper_tests::Stream;
use streamkeeper_tests::binary::{PATIENT, SMALL_PAGES, Shared};
use streamkeeper_tests::stream::offset;

#[tokio::test]
async fn an_offset_inside_a_message_reads_the_whole_message() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for message in ["alpha", "beta", "gamma"] {
        stream.append(message).await;
    }
    for (position, rest) in [
        (0, "alphabetagamma"),
        (1, "alphabetagamma"),
        (4, "alphabetagamma"),
        (5, "betagamma"),
        (8, "betagamma"),
        (9, "gamma"),
        (13, "gamma"),
        (14, ""),
    ] {
        let response = stream.read(&format!("offset={}", offset(position))).await.expect(200);
        assert_eq!((response.text().as_str(), response.next_offset()), (rest, offset(14)));
        assert!(response.up_to_date());
    }
}

#[tokio::test]
async fn an_offset_inside_a_json_message_reads_the_whole_message() {
    let server = Shared::with(SMALL_PAGES);
    let stream = Stream::create(server.address(), "application/json").await;
    let messages: Vec<String> = (0..300).map(|i| format!("{{\"n\":{i}}}")).collect();
    // One batch and single appends, so that both kinds of chunk are cut.
    stream.append(format!("[{}]", messages[..150].join(","))).await;
    for message in &messages[150..] {
        stream.append(message.as_str()).await;
    }
    let end: usize = stream.tail().await[17..].parse().unwrap();
    let mut begin = 0;
    for (index, message) in messages.iter().enumerate().step_by(7) {
        begin +=
            messages[index.saturating_sub(7)..index].iter().map(|m| m.len() + 1).sum::<usize>();
        for position in [begin, begin + 1, begin + message.len()] {
            let page = stream.read(&format!("offset={}", offset(position))).await.expect(200);
            let read: Vec<Value> = serde_json::from_slice(&page.body).unwrap();
            assert_eq!(read[0]["n"], index, "position {position} of {end}");
        }
    }
}

#[tokio::test]
async fn past_the_tail_is_the_tail() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let foreign = "0000000000000001_0000000000000000";
    for at in [&offset(6), &offset(9_999_999_999), foreign, "9999999999999999_9999999999999999"] {
        let response = stream.read(&format!("offset={at}")).await.expect(200);
        assert_eq!((response.text().as_str(), response.next_offset()), ("", offset(5)), "{at}");
        assert!(response.up_to_date());
    }
    stream.close().await;
    assert!(stream.read(&format!("offset={foreign}")).await.expect(200).closed());
}

#[tokio::test]
async fn the_beginning_has_three_names() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("hello").await;
    let zero = format!("offset={}", offset(0));
    for query in ["", "offset=-1", &zero, "other=1&other=2", "offset=%2D1"] {
        assert_eq!(stream.read(query).await.expect(200).text(), "hello", "{query}");
    }
}

#[tokio::test]
async fn malformed_offsets_are_refused_in_every_mode() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let long = format!("{}0", offset(0));
    for at in [
        "",
        "0",
        "1",
        "-2",
        "NOW",
        "Now",
        "-1%20",
        "%20-1",
        "a,b",
        "1_2",
        "a%2Fb",
        "..%2Fx",
        "%00",
        "%0d%0a",
        "%ff",
        "+1",
        "0000000000000000-0000000000000000",
        "latest",
        &long,
        "000000000000000a_0000000000000000",
        "0000000000000000_000000000000000",
    ] {
        for live in ["", "&live=long-poll", "&live=sse"] {
            let response = stream.read(&format!("offset={at}{live}")).await;
            response.expect_problem(400, "invalid_offset");
        }
    }
}

#[tokio::test]
async fn repeated_and_unknown_parameters_are_told() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    for (query, code) in [
        ("offset=-1&offset=-1", "repeated_parameter"),
        ("offset=-1&o%66fset=now", "repeated_parameter"),
        ("offset=-1&live=sse&live=long-poll", "repeated_parameter"),
        ("offset=-1&live=long-poll&cursor=1&cursor=2", "repeated_parameter"),
        ("live=long-poll", "offset_required"),
        ("live=sse", "offset_required"),
        ("offset=-1&live=", "invalid_live"),
        ("offset=-1&live=true", "invalid_live"),
        ("offset=-1&live=SSE", "invalid_live"),
        ("offset=-1&live=longpoll", "invalid_live"),
    ] {
        stream.read(query).await.expect_problem(400, code);
    }
}

#[tokio::test]
async fn pages_end_with_a_message_and_the_walk_is_the_whole() {
    let server = Shared::with(SMALL_PAGES);
    let stream = Stream::create(server.address(), "application/octet-stream").await;
    // Sizes around the page's 1024 bytes, each message in a byte of its own.
    let sizes = [1, 1023, 1, 1024, 1025, 5000, 512, 512, 1, 300, 300, 300, 300, 2048, 7];
    let mut whole = Vec::new();
    for (index, size) in sizes.iter().enumerate() {
        let message = vec![u8::try_from(index).unwrap(); *size];
        stream.append(message.clone()).await;
        whole.extend(message);
    }
    let ends: Vec<usize> = sizes
        .iter()
        .scan(0, |end, size| {
            *end += size;
            Some(*end)
        })
        .collect();
    let pages = stream.walk("-1").await;
    assert_eq!(pages.iter().flat_map(|page| page.body.clone()).collect::<Vec<u8>>(), whole);
    for page in &pages {
        let end: usize = page.next_offset()[17..].parse().unwrap();
        assert!(ends.contains(&end), "a page ends at {end}, inside a message");
        let (first, last) = (page.body[0], page.body[page.body.len() - 1]);
        assert!(page.body.len() <= 1024 || first == last, "only one message may be larger");
    }
    for end in ends {
        let read: Vec<u8> =
            stream.walk(&offset(end)).await.into_iter().flat_map(|page| page.body).collect();
        assert_eq!(read, whole[end..]);
    }
}

#[tokio::test]
async fn json_pages_are_arrays_and_the_walk_is_the_whole() {
    let server = Shared::with(SMALL_PAGES);
    let stream = Stream::create(server.address(), "application/json").await;
    let message = |i: usize| serde_json::json!({ "n": i, "pad": "x".repeat(i * 13 % 400) });
    let mut all: Vec<Value> = (0..100).map(message).collect();
    stream.append(Value::from(all.clone()).to_string()).await;
    for i in 100..160 {
        stream.append(message(i).to_string()).await;
        all.push(message(i));
    }
    let large = serde_json::json!({ "n": 160, "pad": "y".repeat(9000) });
    stream.append(large.to_string()).await;
    all.push(large);
    let pages = stream.walk("-1").await;
    assert!(pages.len() > 20);
    let mut read = Vec::new();
    for page in pages {
        let messages: Vec<Value> = serde_json::from_slice(&page.body).expect("a page is an array");
        assert!(!messages.is_empty() && (page.body.len() <= 1026 || messages.len() == 1));
        read.extend(messages);
    }
    assert_eq!(read, all);
}

#[tokio::test]
async fn live_reads_page_through_history_as_catch_up_reads_do() {
    let server = Shared::with(SMALL_PAGES);
    let stream = Stream::create(server.address(), "text/plain").await;
    let lines: Vec<String> = (0..300).map(|i| format!("line {i} {}", "-".repeat(i % 50))).collect();
    for lines in lines.chunks(3) {
        stream.append(lines.iter().map(|line| format!("{line}\n")).collect::<String>()).await;
    }
    stream.close().await;
    for mode in [streamkeeper_tests::reader::Mode::LongPoll, streamkeeper_tests::reader::Mode::Sse]
    {
        let got = streamkeeper_tests::reader::follow(stream.clone(), mode).await;
        assert_eq!((got.errors, got.lines.len()), (0, 300));
        assert_eq!(got.lines, lines);
    }
}

#[tokio::test]
async fn offsets_sort_as_the_stream_grows() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut last = stream.tail().await;
    assert_eq!(last, offset(0));
    for size in [1, 9, 90, 900, 9000, 90000] {
        let next = stream.append("x".repeat(size)).await;
        assert!(next > last && next.len() == 33, "{last} {next}");
        last = next;
    }
}
