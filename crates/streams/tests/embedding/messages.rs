//! Single messages, each with its own offset; the closing.

use streamkeeper::{AppendError, AppendRequest, CreateRequest, Outcome, ReadFrom};
use streamkeeper_protocol::stream::AppendRejection;

use crate::kit::*;

#[tokio::test(start_paused = true)]
async fn each_message_of_json_can_be_read_from_its_own_offset() {
    let keeper = keeper(&Scripted::new()).await;
    let s = name("s");
    keeper.create(&s, CreateRequest::json().body(r#"[1, "two, [and]"]"#)).await.unwrap();
    keeper.append(&s, AppendRequest::json(r#"{"a": [ 3 ]}"#)).await.unwrap();
    keeper.append(&s, AppendRequest::json("[[4], 5]")).await.unwrap();
    let expected = ["1", r#""two, [and]""#, r#"{"a":[3]}"#, "[4]", "5"];

    for max_bytes in [1, 8, ALL] {
        let mut from = ReadFrom::Start;
        let mut read = Vec::new();
        loop {
            let page = keeper.read_messages(&s, from, max_bytes).await.unwrap();
            from = ReadFrom::At(page.next_offset);
            read.extend(page.messages);
            if page.up_to_date {
                break;
            }
        }
        let data: Vec<String> = read.iter().map(|message| message.text()).collect();
        assert_eq!(data, expected, "{max_bytes}");
        assert!(read.windows(2).all(|pair| pair[0].offset == pair[1].start));
        for (i, message) in read.iter().enumerate() {
            let rest = keeper.read_messages(&s, ReadFrom::At(message.start), 1).await.unwrap();
            assert_eq!(rest.messages[0], *message);
            let rest = keeper.read_messages(&s, ReadFrom::At(message.offset), 1).await.unwrap();
            assert_eq!(rest.messages.first(), read.get(i + 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn text_and_bytes_come_as_they_were_sent() {
    let keeper = keeper(&Scripted::new()).await;
    let (text, bytes) = (name("text"), name("bytes"));
    keeper.create(&text, CreateRequest::text().body("a,")).await.unwrap();
    keeper.append(&text, AppendRequest::text("b,")).await.unwrap();
    keeper.create(&bytes, CreateRequest::bytes()).await.unwrap();
    keeper.append(&bytes, AppendRequest::bytes(&b"\xff,"[..])).await.unwrap();
    let page = keeper.read_messages(&text, ReadFrom::Start, ALL).await.unwrap();
    let data: Vec<&[u8]> = page.messages.iter().map(|message| &message.data[..]).collect();
    assert_eq!(data, [b"a,", b"b,"]);
    let page = keeper.read_messages(&bytes, ReadFrom::Start, ALL).await.unwrap();
    assert_eq!(page.messages[0].data, &b"\xff,"[..]);
    assert_eq!(page.messages[0].text(), "\u{fffd},");
}

#[tokio::test(start_paused = true)]
async fn a_fork_tells_the_messages_of_its_source_with_their_offsets() {
    let keeper = keeper(&Scripted::new()).await;
    let (s, fork) = (name("s"), name("fork"));
    keeper.create(&s, CreateRequest::json().body("[1,2,3]")).await.unwrap();
    let second = keeper.read_messages(&s, ReadFrom::Start, ALL).await.unwrap().messages[1].clone();
    keeper.create(&fork, CreateRequest::fork_at(s.clone(), second.offset)).await.unwrap();
    keeper.append(&fork, AppendRequest::json("4")).await.unwrap();
    let page = keeper.read_messages(&fork, ReadFrom::Start, ALL).await.unwrap();
    let data: Vec<String> = page.messages.iter().map(|message| message.text()).collect();
    assert_eq!(data, ["1", "2", "4"]);
    assert_eq!(page.messages[1], second);
    let whole = name("whole");
    keeper.create(&whole, CreateRequest::fork_of(s)).await.unwrap();
    assert_eq!(keeper.read_messages(&whole, ReadFrom::Start, ALL).await.unwrap().messages.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_closed_stream_says_so_and_takes_no_more() {
    let keeper = keeper(&Scripted::new()).await;
    let s = name("s");
    keeper.create(&s, CreateRequest::text().body("a")).await.unwrap();
    let closed = keeper.close(&s).await.unwrap();
    assert!(closed.closed && closed.outcome == Outcome::Closed);
    assert!(keeper.close(&s).await.unwrap().closed, "twice does no harm");
    let page = keeper.read_messages(&s, ReadFrom::Start, ALL).await.unwrap();
    assert!(page.closed && page.messages.len() == 1);
    let more = keeper.append(&s, AppendRequest::text("b")).await;
    assert!(matches!(more, Err(AppendError::Rejected(AppendRejection::Closed { .. }))));
    let none = keeper.close(&name("none")).await;
    assert_eq!(none, Err(AppendError::Rejected(AppendRejection::NotFound)));
    keeper.create(&name("born"), CreateRequest::text().body("x").closed()).await.unwrap();
    assert!(keeper.metadata(&name("born")).await.unwrap().closed);
}
