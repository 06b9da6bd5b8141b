//! Deleting what forks refer to: soft deletion, and the cascade when the last fork lets go.

use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::stream::answer;
use streamkeeper_tests::{Stream, eventually};

async fn fork_of(source: &Stream) -> Stream {
    let fork = Stream::fresh(source.address, &source.content_type);
    fork.send(&fork.put_fork(source)).await.expect(201);
    fork
}

async fn until_gone(stream: &Stream) {
    eventually("its data is let go", async || stream.head().await.status == 404).await;
}

#[tokio::test]
async fn a_deleted_source_is_gone_for_clients_and_there_for_its_forks() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append("inherited ").await;
    let fork = fork_of(&source).await;
    source.delete().await.expect(204);
    assert_eq!(source.head().await.status, 410);
    for query in ["", "offset=now", "offset=-1&live=long-poll", "offset=-1&live=sse"] {
        source.read(query).await.expect_problem(410, "stream_gone");
    }
    for request in [source.post("x"), source.post_close(), source.post("")] {
        source.send(&request).await.expect_problem(410, "stream_gone");
    }
    for _ in 0..2 {
        source.delete().await.expect_problem(410, "stream_gone");
    }
    source.send(&source.put()).await.expect_problem(409, "stream_soft_deleted");
    let other = Stream::fresh(server.address(), "text/plain");
    other.send(&other.put_fork(&source)).await.expect_problem(409, "fork_source_deleted");
    let onto = source.put_fork(&fork);
    source.send(&onto).await.expect_problem(409, "stream_soft_deleted");
    // The fork confirms itself and goes on.
    fork.send(&fork.put_fork(&source)).await.expect(200);
    fork.append("own").await;
    assert_eq!(fork.text().await, "inherited own");
    fork.delete().await.expect(204);
    until_gone(&source).await;
    source.send(&source.put()).await.expect(201);
    assert_eq!(source.text().await, "");
}

#[tokio::test]
async fn soft_deletion_ends_the_live_readers_of_the_source_and_not_the_forks() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    let tail = source.append("x").await;
    let fork = fork_of(&source).await;
    let (mut reader, mut fork_reader) = (source.sse("-1").await, fork.sse("-1").await);
    reader.catch_up().await;
    fork_reader.catch_up().await;
    let (poll, fork_poll) = (source.long_poll(&tail).await, fork.long_poll(&tail).await);
    source.delete().await.expect(204);
    answer(poll).await.expect_problem(410, "stream_gone");
    assert!(reader.to_end().await.0.is_empty());
    fork.append("y").await;
    assert_eq!(answer(fork_poll).await.expect(200).text(), "y");
    assert_eq!(fork_reader.step().await.unwrap().0.as_deref(), Some("y"));
}

#[tokio::test]
async fn a_source_is_held_until_its_last_fork_lets_go() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append("x").await;
    let forks = [fork_of(&source).await, fork_of(&source).await, fork_of(&source).await];
    source.delete().await.expect(204);
    for (index, fork) in forks.iter().enumerate() {
        assert_eq!(source.head().await.status, 410, "{index} forks are gone");
        assert_eq!(fork.text().await, "x");
        fork.delete().await.expect(204);
    }
    until_gone(&source).await;
}

#[tokio::test]
async fn the_cascade_goes_up_the_whole_chain() {
    let server = Shared::with(PATIENT);
    let mut chain = vec![Stream::create(server.address(), "text/plain").await];
    chain[0].append("0").await;
    for generation in 1..5 {
        let fork = fork_of(chain.last().unwrap()).await;
        fork.append(generation.to_string()).await;
        chain.push(fork);
    }
    let (last, ancestors) = chain.split_last().unwrap();
    for ancestor in ancestors {
        ancestor.delete().await.expect(204);
    }
    assert_eq!(last.text().await, "01234");
    for ancestor in ancestors {
        assert_eq!(ancestor.head().await.status, 410);
    }
    last.delete().await.expect(204);
    for stream in &chain {
        until_gone(stream).await;
    }
}

#[tokio::test]
async fn a_fork_that_skips_its_source_still_holds_the_whole_chain() {
    let server = Shared::with(PATIENT);
    let first = Stream::create(server.address(), "text/plain").await;
    first.append("aaaa").await;
    let second = fork_of(&first).await;
    second.append("bbbb").await;
    // Branches off the second at a point that lies in the first.
    let third = Stream::fresh(server.address(), "text/plain");
    let put =
        third.put_fork(&second).header("Stream-Fork-Offset", streamkeeper_tests::stream::offset(0));
    third.send(&put.header("Stream-Fork-Sub-Offset", "2")).await.expect(201);
    first.delete().await.expect(204);
    second.delete().await.expect(204);
    third.append("cc").await;
    assert_eq!(third.text().await, "aacc");
    third.delete().await.expect(204);
    until_gone(&second).await;
    until_gone(&first).await;
}

#[tokio::test]
async fn a_source_whose_forks_are_gone_is_held_by_nothing() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    for _ in 0..3 {
        fork_of(&source).await.delete().await.expect(204);
    }
    source.delete().await.expect(204);
    // The forks may have let go before that, or after.
    until_gone(&source).await;
    source.send(&source.put()).await.expect(201);
}

#[tokio::test]
async fn forks_that_fail_hold_nothing() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append("x").await;
    let taken = Stream::create(server.address(), "text/plain").await;
    for _ in 0..5 {
        taken.send(&taken.put_fork(&source)).await.expect_problem(409, "stream_exists");
    }
    source.delete().await.expect(204);
    source.delete().await.expect_problem(404, "stream_not_found");
}

#[tokio::test]
async fn forks_deletions_and_creations_at_once_end_in_order() {
    let server = Shared::with(PATIENT);
    let source = Stream::create(server.address(), "text/plain").await;
    source.append("data").await;
    let workers = (0..6).map(|worker| {
        let source = source.clone();
        tokio::spawn(async move {
            let mut forks = Vec::new();
            for round in 0..10 {
                if (worker + round) % 5 == 4 {
                    source.delete().await;
                    source.send(&source.put().body("data")).await;
                }
                let fork = Stream::fresh(source.address, "text/plain");
                let status = fork.send(&fork.put_fork(&source)).await.status;
                assert!(matches!(status, 201 | 404 | 409), "{status}");
                if status == 201 {
                    // Whatever happens to the source, a fork that was created can be read.
                    let text = fork.read("").await.expect(200).text();
                    assert_eq!(text, "data");
                    forks.push(fork);
                }
            }
            for fork in forks {
                fork.delete().await.expect(204);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    eventually("nothing is held", async || {
        source.delete().await;
        source.head().await.status == 404
    })
    .await;
}
