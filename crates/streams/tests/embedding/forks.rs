//! Forks: they read as if they had copied their source, whatever becomes of it.

use streamkeeper::{CreateError, CreateRequest, Offset, ReadError, ReadFrom};
use streamkeeper_protocol::stream::{ForkRejection, InvalidSubOffset};

use crate::kit::*;

/// Reads from every position, in pages of every size, and compares.
async fn reads_right(keeper: &streamkeeper::Streamkeeper, fork: &str, messages: &[&str]) {
    let fork = name(fork);
    let whole = messages.concat();
    for max_bytes in [1, 2, 3, 4, 7, 100] {
        let mut begin = 0;
        for (i, message) in messages.iter().enumerate() {
            for inside in 0..message.len() {
                let from = ReadFrom::At(Offset::new((begin + inside) as u64));
                let page = keeper.read(&fork, from, max_bytes).await.unwrap();
                assert_eq!(page.start.position() as usize, begin);
                let got = texts(&page);
                assert_eq!(got, messages[i..i + got.len()], "{fork} at {begin} by {max_bytes}");
                assert!(got.len() == 1 || page.size() as u64 <= max_bytes);
                assert_eq!(page.up_to_date, i + got.len() == messages.len());
            }
            begin += message.len();
        }
        assert_eq!(read_all(keeper, &fork, max_bytes).await.unwrap(), whole);
    }
    assert_eq!(keeper.metadata(&fork).await.unwrap().next_offset.position(), whole.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_forks_reads_right_in_pages_of_every_size() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(name);
    keeper.create(&a, stream()).await.unwrap();
    for body in ["aa", "bbb", "c"] {
        keeper.append(&a, message(body)).await.unwrap();
    }
    // Inside a message of the source; at the tail; inside what was inherited; before all of it.
    keeper.create(&b, fork_at(&a, 2, 2)).await.unwrap();
    keeper.append(&b, message("dddd")).await.unwrap();
    let request = CreateRequest { body: "first".into(), ..fork_of(&b) };
    keeper.create(&c, request).await.unwrap();
    keeper.append(&c, message("e")).await.unwrap();
    keeper.create(&d, fork_at(&c, 2, 1)).await.unwrap();
    keeper.append(&d, message("zz")).await.unwrap();
    keeper.create(&e, fork_at(&d, 0, 0)).await.unwrap();
    keeper.append(&e, message("own")).await.unwrap();
    keeper.append(&a, message("later")).await.unwrap();

    let check = async || {
        reads_right(&keeper, "b", &["aa", "bb", "dddd"]).await;
        reads_right(&keeper, "c", &["aa", "bb", "dddd", "first", "e"]).await;
        reads_right(&keeper, "d", &["aa", "b", "zz"]).await;
        reads_right(&keeper, "e", &["own"]).await;
    };
    reads_right(&keeper, "a", &["aa", "bbb", "c", "later"]).await;
    check().await;
    for source in [&a, &b, &c] {
        keeper.delete(source).await.unwrap();
        assert_eq!(keeper.metadata(source).await, Err(ReadError::Gone));
    }
    let [c_state, a_state] = [&c, &a].map(|s| storage.state(s).is_some());
    assert!(c_state && a_state, "kept for d");
    reads_right(&keeper, "d", &["aa", "b", "zz"]).await;
    reads_right(&keeper, "e", &["own"]).await;
    keeper.delete(&e).await.unwrap();
    keeper.delete(&d).await.unwrap();
    eventually("the chain is reclaimed", async || {
        [&a, &b, &c, &d, &e].iter().all(|s| storage.state(s).is_none())
    })
    .await;
    assert!(keeper.create(&a, stream()).await.unwrap().fresh);
}

#[tokio::test(start_paused = true)]
async fn a_json_sub_offset_counts_messages() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let s = name("s");
    let request = CreateRequest { content_type: json(), body: "[1, [2], 3]".into(), ..stream() };
    keeper.create(&s, request).await.unwrap();
    let request = streamkeeper::AppendRequest { content_type: json(), ..message("[4,5]") };
    keeper.append(&s, request).await.unwrap();
    for (position, sub_offset, expected) in [
        (0, 0, Ok("")),
        (0, 2, Ok("1,[2],")),
        (2, 3, Ok("1,[2],3,4,")),
        (0, 5, Ok("1,[2],3,4,5,")),
        (10, 0, Ok("1,[2],3,4,")),
        (12, 0, Ok("1,[2],3,4,5,")),
        (0, 6, Err(InvalidSubOffset::Overshoot)),
        (12, 1, Err(InvalidSubOffset::Overshoot)),
        (3, 0, Err(InvalidSubOffset::Misaligned)),
        (0, u64::MAX, Err(InvalidSubOffset::Overshoot)),
    ] {
        let fork = name(&format!("fork-{position}-{sub_offset}"));
        let answer = keeper.create(&fork, fork_at(&s, position, sub_offset)).await;
        match expected {
            Ok(expected) => {
                assert_eq!(answer.unwrap().next_offset.position(), expected.len() as u64);
                assert_eq!(contents(&keeper, &fork).await, expected);
            }
            Err(error) => assert_eq!(answer, Err(CreateError::SubOffset(error))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fork_is_confirmed_and_its_name_is_taken() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let [s, fork] = ["s", "fork"].map(name);
    keeper.create(&s, CreateRequest { expiry: ttl(60), ..stream() }).await.unwrap();
    keeper.append(&s, message("abc")).await.unwrap();
    let created = keeper.create(&fork, fork_at(&s, 0, 2)).await.unwrap();
    assert!(created.fresh && created.content_type == text().unwrap());
    assert_eq!(Some(keeper.metadata(&fork).await.unwrap().expiry), ttl(60), "inherited");
    assert!(!keeper.create(&fork, fork_at(&s, 0, 2)).await.unwrap().fresh);
    for other in [fork_at(&s, 0, 1), fork_at(&s, 3, 0), fork_of(&fork), stream()] {
        let answer = keeper.create(&fork, other).await;
        assert!(matches!(answer, Err(CreateError::Rejected(_))), "{answer:?}");
    }
    // The source may be gone: the fork is there all the same.
    keeper.delete(&s).await.unwrap();
    assert!(!keeper.create(&fork, fork_at(&s, 0, 2)).await.unwrap().fresh);
    let answer = keeper.create(&name("second"), fork_of(&s)).await;
    assert_eq!(answer, Err(CreateError::Fork(ForkRejection::SourceDeleted)));
}

#[tokio::test(start_paused = true)]
async fn a_fork_starts_open_and_without_producers() {
    let storage = Scripted::new();
    let keeper = keeper(&storage).await;
    let [s, fork] = ["s", "fork"].map(name);
    keeper.create(&s, stream()).await.unwrap();
    keeper.append(&s, produced("a", "p", 3, 0)).await.unwrap();
    keeper.append(&s, closing()).await.unwrap();
    assert!(!keeper.create(&fork, fork_of(&s)).await.unwrap().closed);
    let appended = keeper.append(&fork, produced("b", "p", 0, 0)).await.unwrap();
    assert_eq!(appended.outcome, streamkeeper::Outcome::Appended);
    assert_eq!(contents(&keeper, &fork).await, "ab");
    assert_eq!(contents(&keeper, &s).await, "a");
}
