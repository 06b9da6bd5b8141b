//! The pure core: deciding and folding, JSON framing, SSE encoding.

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use streamkeeper_protocol::sse::{Control, control_event, data_event};
use streamkeeper_protocol::stream::{
    Append, AppendDecision, Config, Expiry, Record, Retention, StreamId, StreamState, decide_append,
};
use streamkeeper_protocol::{Batch, ContentType, Offset, Producer, SseEncoding, Timestamp, json};
use uuid::Uuid;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

fn main() {
    divan::main();
}

fn text() -> ContentType {
    ContentType::parse("text/plain").expect("a content type")
}

fn state() -> StreamState {
    let created = Record::Created {
        id: StreamId::new(Uuid::from_u128(1)),
        config: Config {
            content_type: text(),
            expiry: Expiry::Never,
            retention: Retention::default(),
        },
        origin: None,
        batch: None,
        closed: false,
        at: NOW,
    };
    let mut state = None;
    StreamState::fold(&mut state, &created);
    state.expect("a stream that was created")
}

fn append(producer: Option<Producer>) -> Append {
    Append {
        content_type: Some(text()),
        batch: Batch::one(Bytes::from_static(&[b'x'; 100])),
        producer,
        seq: None,
        close: false,
    }
}

/// `messages` of 100 bytes in an array.
fn array(messages: usize) -> Vec<u8> {
    let message = format!(r#"{{"id":123456,"text":"{}"}}"#, "x".repeat(78));
    format!("[{}]", vec![message; messages].join(",")).into_bytes()
}

#[divan::bench(args = [false, true])]
fn decide_and_apply(bencher: Bencher<'_, '_>, producer: bool) {
    let mut state = state();
    let mut seq = 0;
    bencher.bench_local(|| {
        let producer = producer
            .then(|| Producer::parse(Some(b"bench"), Some(b"0"), Some(seq.to_string().as_bytes())))
            .map(|parsed| parsed.expect("a producer").expect("three headers"));
        seq += 1;
        let decision = decide_append(Some(&state), &append(producer), NOW);
        let Ok(AppendDecision::Write(record)) = decision else { panic!("{decision:?}") };
        state.apply(black_box(&record));
    });
}

#[divan::bench(args = [1, 100, 10_000])]
fn json_frame(bencher: Bencher<'_, '_>, messages: usize) {
    let body = array(messages);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| json::frame(black_box(&body)));
}

#[divan::bench(args = [1, 100])]
fn json_wrap(bencher: Bencher<'_, '_>, messages: usize) {
    let batch = json::frame(&array(messages)).expect("JSON").expect("messages");
    let chunks = [batch.payload().clone()];
    bencher.bench(|| json::wrap(black_box(&chunks)));
}

#[divan::bench(args = [SseEncoding::Text, SseEncoding::Base64])]
fn sse_data_event(bencher: Bencher<'_, '_>, encoding: SseEncoding) {
    let chunks = [Bytes::from_static(&[b'x'; 100])];
    bencher.bench(|| data_event(encoding, black_box(&chunks)));
}

#[divan::bench]
fn sse_control_event(bencher: Bencher<'_, '_>) {
    let control = Control {
        next_offset: Offset::new(123_456),
        cursor: None,
        up_to_date: true,
        closed: false,
    };
    bencher.bench(|| control_event(black_box(&control)));
}
