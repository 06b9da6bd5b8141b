//! Loading waits for the commits of its own stream, and not for those of others.

use futures::FutureExt;

use super::faults::Stream;
use super::*;

#[tokio::test]
async fn a_stream_is_loaded_with_what_it_has_in_flight_and_without_waiting_for_others() {
    let Temporary { log, _dir } = temporary(LogOptions::default());
    let (mut busy, mut quiet) = (Stream::new(1), Stream::new(2));
    quiet.append_many(&log, 3).await;
    // An outcome is told just before its commit is counted no more.
    log.load(quiet.name()).await.unwrap();
    // This runtime has one thread, so nothing of it is written until something is waited for.
    let mut created = Box::pin(busy.append(&log));
    assert_eq!(created.as_mut().now_or_never(), None);

    let known = log.load(quiet.name()).now_or_never().expect("nothing of it is in flight").unwrap();
    assert_eq!(known.unwrap().version, 3);
    let absent = StreamName::new("absent").unwrap();
    assert_eq!(log.load(&absent).now_or_never(), Some(Ok(None)));

    let name = StreamName::new("s/1").unwrap();
    let mut loading = Box::pin(log.load(&name));
    assert_eq!(loading.as_mut().now_or_never(), None, "its creation is in flight");
    assert_eq!(loading.await.unwrap().unwrap().version, 1);
    created.await.unwrap();
}

#[tokio::test]
async fn what_was_told_is_not_in_flight_any_more() {
    let Temporary { log, _dir } = temporary(LogOptions::default());
    let mut streams: Vec<Stream> = (0..100).map(Stream::new).collect();
    for stream in &mut streams {
        stream.append_many(&log, 2).await;
    }
    // A commit that is refused counts no longer than others.
    let again = Stream::new(1).append(&log).await;
    assert_eq!(again, Err(StorageError::Conflict));
    // As above.
    log.load(streams[1].name()).await.unwrap();
    for stream in &streams {
        assert!(!log.in_flight.may_have(stream.name()));
    }
}
