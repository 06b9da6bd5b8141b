//! Server-sent events byte by byte: what clients in the field parse.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use streamkeeper_tests::binary::{BRISK, PATIENT, SMALL_PAGES, Shared};
use streamkeeper_tests::stream::offset;
use streamkeeper_tests::{Event, Stream};

/// All events of a closed stream.
async fn events(stream: &Stream) -> Vec<Event> {
    let mut reader = stream.sse("-1").await;
    let mut events = Vec::new();
    while let Some(event) = reader.next().await {
        events.push(event);
    }
    assert!(reader.ended_cleanly);
    events
}

#[tokio::test]
async fn the_head_says_what_follows() {
    let server = Shared::with(PATIENT);
    for (content_type, encoding) in [
        ("text/plain", None),
        ("TEXT/html; charset=utf-8", None),
        ("application/json; charset=utf-8", None),
        ("application/ndjson", Some("base64")),
        ("application/octet-stream", Some("base64")),
        ("image/svg+xml", Some("base64")),
    ] {
        let stream = Stream::create(server.address(), content_type).await;
        let head = stream.sse("-1").await.head.expect(200).expect_browser_headers();
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("stream-sse-data-encoding"), encoding, "{content_type}");
        assert_eq!(head.header("cache-control"), Some("no-cache"));
        assert_eq!(head.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn every_data_event_is_followed_by_its_control_event() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut reader = stream.sse("-1").await;
    let first = reader.next().await.unwrap();
    assert_eq!(first.control().next_offset, offset(0));
    assert!(first.control().up_to_date);
    let cursor = first.control().cursor.unwrap();
    for text in ["hello", "wor", "ld"] {
        let tail = stream.append(text).await;
        let data = reader.next().await.unwrap();
        assert_eq!(data.raw, format!("event: data\ndata:{text}"));
        let control = reader.next().await.unwrap();
        let now = control.control().cursor.unwrap();
        assert!(now == cursor || now == cursor + 1, "the cursor follows the time");
        let expected = format!(
            "event: control\ndata:{{\"streamNextOffset\":\"{tail}\",\"streamCursor\":\"{now}\",\"upToDate\":true}}"
        );
        assert_eq!(control.raw, expected);
    }
}

#[tokio::test]
async fn a_line_break_of_any_kind_ends_a_line_and_injects_nothing() {
    let server = Shared::with(PATIENT);
    for (text, lines) in [
        ("a\nb", "data:a\ndata:b"),
        ("a\r\nb", "data:a\ndata:b"),
        ("a\rb", "data:a\ndata:b"),
        ("\n", "data:\ndata:"),
        ("a\n\n\r\rb", "data:a\ndata:\ndata:\ndata:\ndata:b"),
        ("x\n\nevent: control\ndata:{\"streamClosed\":true}", ""),
        ("x\r\revent: control\rdata:{\"streamClosed\":true}\r\r", ""),
        ("x\r\n\r\nid: 7\nretry: 1\n: comment", ""),
        ("\u{2028}\u{2029}\u{85}\u{b}\u{c}", "data:\u{2028}\u{2029}\u{85}\u{b}\u{c}"),
        ("\u{feff}bom", "data:\u{feff}bom"),
        ("a\0b", "data:a\0b"),
    ] {
        let stream = Stream::create(server.address(), "text/plain").await;
        stream.append_and_close(text).await;
        let events = events(&stream).await;
        assert_eq!(events.len(), 2, "{text:?}: {events:?}");
        let normal = text.replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!((events[0].name.as_str(), &events[0].data), ("data", &normal));
        assert!(lines.is_empty() || events[0].raw == format!("event: data\n{lines}"), "{events:?}");
        assert!(events[1].control().closed);
    }
}

#[tokio::test]
async fn spaces_at_the_beginning_of_a_line_are_kept() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append_and_close(" one\n  two\n\tthree\n: four\n ").await;
    let events = events(&stream).await;
    assert_eq!(events[0].data, " one\n  two\n\tthree\n: four\n ");
    assert!(events[0].raw.ends_with("data:\tthree\ndata:: four\ndata:  "), "{events:?}");
}

#[tokio::test]
async fn json_events_are_one_array_on_one_line() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    stream.append("[{\"a\": \"x\\ny\"}, 12345678901234567890,\n[] ]").await;
    let mut reader = stream.sse("-1").await;
    let (data, control) = reader.step().await.unwrap();
    assert_eq!(data.unwrap(), "[{\"a\":\"x\\ny\"},12345678901234567890,[]]");
    assert!(control.up_to_date);
    for i in 0..3 {
        stream.append(i.to_string()).await;
        assert_eq!(reader.step().await.unwrap().0.unwrap(), format!("[{i}]"));
    }
}

#[tokio::test]
async fn json_arrays_of_a_long_stream_are_whole_at_small_pages() {
    let server = Shared::with(SMALL_PAGES);
    let stream = Stream::create(server.address(), "application/json").await;
    let batch: Vec<String> = (0..400).map(|i| format!("{{\"number\":{i}}}")).collect();
    stream.append(format!("[{}]", batch.join(","))).await;
    let (data, control) = stream.sse("-1").await.catch_up().await;
    assert!(data.len() > 5 && control.next_offset == stream.tail().await);
    let read = data.iter().flat_map(|data| {
        serde_json::from_str::<Vec<serde_json::Value>>(data).expect("one array an event")
    });
    let read: Vec<String> = read.map(|message| message.to_string()).collect();
    assert_eq!(read, batch);
}

#[tokio::test]
async fn binary_events_decode_alone() {
    let server = Shared::with(SMALL_PAGES);
    let stream = Stream::create(server.address(), "application/octet-stream").await;
    let mut whole = Vec::new();
    let mut reader = stream.sse("-1").await;
    reader.step().await.unwrap();
    for size in [1usize, 2, 3, 4, 5, 1000, 1500, 4096] {
        let message: Vec<u8> = (0..size).map(|i| (i * 7 + size) as u8).collect();
        stream.append(message.clone()).await;
        let (data, _) = reader.step().await.unwrap();
        assert_eq!(STANDARD.decode(data.unwrap()).expect("an event decodes alone"), message);
        whole.extend(message);
    }
    let (data, _) = stream.sse("-1").await.catch_up().await;
    let read: Vec<u8> = data.iter().flat_map(|data| STANDARD.decode(data).unwrap()).collect();
    assert_eq!(read, whole);
}

#[tokio::test]
async fn a_reader_begins_where_it_asks_to() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append("alpha").await;
    let tail = stream.append("beta").await;
    for (at, expected) in [
        (offset(5), "beta"),
        (offset(7), "beta"),
        (offset(3), "alphabeta"),
        (offset(0), "alphabeta"),
    ] {
        let (data, control) = stream.sse(&at).await.catch_up().await;
        assert_eq!((data.concat().as_str(), &control.next_offset), (expected, &tail), "{at}");
    }
    for at in ["now", tail.as_str(), &offset(9999), "0000000000000007_0000000000000000"] {
        let mut reader = stream.sse(at).await;
        let (data, control) = reader.step().await.unwrap();
        assert_eq!((data, control.up_to_date), (None, true), "{at}");
        assert_eq!(control.next_offset, stream.tail().await, "the tail, not what was asked for");
        stream.append("!").await;
        assert_eq!(reader.step().await.unwrap().0.as_deref(), Some("!"));
        stream.delete().await.expect(204);
        stream.send(&stream.put().body("alphabeta")).await.expect(201);
    }
}

#[tokio::test]
async fn connections_are_recycled_even_when_busy_and_nothing_is_lost() {
    let server = Shared::with(BRISK);
    let stream = Stream::create(server.address(), "text/plain").await;
    let writer = stream.clone();
    let writing = tokio::spawn(async move {
        let mut count = 0;
        let begin = tokio::time::Instant::now();
        // Longer than the life of two connections.
        while begin.elapsed() < std::time::Duration::from_millis(4500) {
            writer.append(format!("{count}\n")).await;
            count += 1;
        }
        writer.close().await;
        count
    });
    let (mut read, mut at, mut cursor, mut connections) = (String::new(), "-1".to_owned(), 0, 0);
    loop {
        let mut reader = stream.sse(&format!("{at}&cursor={cursor}")).await;
        connections += 1;
        let (data, last) = reader.to_end().await;
        assert!(reader.ended_cleanly, "a recycled connection ends as it should");
        let last = last.expect("a control event before the end");
        for data in data {
            read.push_str(&data);
        }
        at = last.next_offset;
        if last.closed {
            break;
        }
        let next = last.cursor.unwrap();
        assert!(next > cursor, "{next} after {cursor}");
        cursor = next;
    }
    let count: usize = writing.await.unwrap();
    let expected: Vec<String> = (0..count).map(|i| i.to_string()).collect();
    assert!(read.lines().eq(expected.iter().map(String::as_str)), "every message once");
    assert!(connections >= 2, "{connections} connections");
}
