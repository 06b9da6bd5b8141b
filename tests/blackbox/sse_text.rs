//! Text that is split anywhere arrives whole by server-sent events, whatever happens to the
//! connection in between.

use streamkeeper_tests::Stream;
use streamkeeper_tests::binary::{BRISK, PATIENT, SMALL_PAGES, Shared};
use streamkeeper_tests::stream::offset;

#[tokio::test]
async fn a_character_that_is_split_over_appends_arrives_whole() {
    let server = Shared::with(PATIENT);
    for text in ["é", "€", "😀", "a€b😀c", "日本語"] {
        let stream = Stream::create(server.address(), "text/plain; charset=utf-8").await;
        let mut reader = stream.sse("-1").await;
        reader.step().await.unwrap();
        for byte in text.bytes() {
            stream.append([byte]).await;
        }
        stream.close().await;
        let (data, last) = reader.to_end().await;
        assert_eq!(data.concat(), text, "live");
        assert!(last.unwrap().closed);
        let (data, _) = stream.sse("-1").await.to_end().await;
        assert_eq!(data.concat(), text, "caught up");
    }
}

#[tokio::test]
async fn the_position_stays_before_a_character_that_is_not_whole() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut reader = stream.sse("-1").await;
    reader.step().await.unwrap();
    stream.append("ok").await;
    assert_eq!(reader.step().await.unwrap().1.next_offset, offset(2));
    stream.append(b"caf\xc3").await;
    let (data, control) = reader.step().await.unwrap();
    assert_eq!((data, control.up_to_date), (None, false), "{control:?}");
    assert_eq!(control.next_offset, offset(2), "a reconnect begins before it");
    // A client that is cut off here and comes back has everything.
    let mut second = stream.sse(&control.next_offset).await;
    stream.append(b"\xa9!").await;
    for reader in [&mut reader, &mut second] {
        let (data, control) = reader.catch_up().await;
        assert_eq!((data.concat().as_str(), control.next_offset), ("café!", offset(8)));
    }
}

#[tokio::test]
async fn every_way_to_cut_a_text_is_the_same_text() {
    let server = Shared::with(SMALL_PAGES);
    let text = "aé€😀z".as_bytes();
    for first in 0..text.len() {
        let second = (first + 1 + first % 3).min(text.len());
        let stream = Stream::create(server.address(), "text/plain").await;
        let mut live = stream.sse("-1").await;
        for part in [&text[..first], &text[first..second], &text[second..]] {
            if !part.is_empty() {
                stream.append(part).await;
            }
        }
        stream.close().await;
        assert_eq!(live.to_end().await.0.concat().as_bytes(), text, "{first} {second}");
        let caught_up = stream.sse("-1").await.to_end().await.0.concat();
        assert_eq!(caught_up.as_bytes(), text, "{first} {second}");
    }
}

#[tokio::test]
async fn a_page_that_ends_inside_a_character_does_not_break_it() {
    let server = Shared::with(SMALL_PAGES);
    let stream = Stream::create(server.address(), "text/plain").await;
    // Messages of 1024 bytes fill a page each, and every one of them ends inside a character.
    let text = "é".repeat(3000);
    let bytes = [b"x", text.as_bytes()].concat();
    for message in bytes.chunks(1024) {
        stream.append(message).await;
    }
    stream.close().await;
    let (data, _) = stream.sse("-1").await.to_end().await;
    assert!(data.concat().as_bytes() == bytes, "no character is replaced");
}

/// The last message alone is no beginning of a character; together with the one before it is.
#[tokio::test]
async fn a_page_that_ends_with_a_middle_byte_does_not_break_it() {
    let server = Shared::with(PATIENT);
    for text in ["€", "日本語", "😀", "a😀"] {
        for cut in 1..text.len() {
            let stream = Stream::create(server.address(), "text/plain").await;
            for byte in &text.as_bytes()[..cut] {
                stream.append([*byte]).await;
            }
            // What is there already comes as one page, the rest live.
            let mut reader = stream.sse("-1").await;
            let (first, control) = reader.step().await.unwrap();
            let position: usize = control.next_offset[17..].parse().unwrap();
            assert!(text.is_char_boundary(position), "{text}: at {position} after {cut} bytes");
            for byte in &text.as_bytes()[cut..] {
                stream.append([*byte]).await;
            }
            stream.close().await;
            let rest = reader.to_end().await.0.concat();
            assert_eq!(first.unwrap_or_default() + &rest, text, "after {cut} bytes");
        }
    }
}

#[tokio::test]
async fn what_is_no_text_is_replaced_and_given_up_at_the_end() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "text/plain").await;
    stream.append(b"a\xffb").await;
    stream.append_and_close(b"end\xe2\x82").await;
    let (data, last) = stream.sse("-1").await.to_end().await;
    assert_eq!(data.concat(), "a\u{fffd}bend\u{fffd}");
    let last = last.unwrap();
    assert!(last.closed && last.next_offset == offset(8), "{last:?}");
    assert_eq!(stream.bytes().await, b"a\xffbend\xe2\x82", "catch-up reads are bytes");
}

/// The connection is recycled while half of a character waits for the rest. The half came moments
/// ago: giving it up would break a character of healthy text (bug 15 of the design, by another way).
#[tokio::test]
async fn a_recycled_connection_does_not_break_a_character() {
    let server = Shared::with(BRISK);
    let stream = Stream::create(server.address(), "text/plain").await;
    let mut reader = stream.sse("-1").await;
    stream.append("whole ").await;
    stream.append(b"caf\xc3").await;
    let (data, last) = reader.to_end().await;
    let mut text = data.concat();
    let mut second = stream.sse(&last.unwrap().next_offset).await;
    stream.append(b"\xa9!").await;
    text.push_str(&second.catch_up().await.0.concat());
    assert_eq!(text, "whole café!");
}
