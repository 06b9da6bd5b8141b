//! What subscriptions (PROTOCOL.md sections 6 and 7) cost those who append.

use std::io;

use super::append::{self, Body};
use super::{Settings, setup};
use crate::http::{Connection, request};
use crate::load::{Figure, Sample};
use crate::target::Running;

const CONNECTIONS: usize = 64;

/// Appends are measured without subscriptions, then with many of which one matches every stream. The
/// figure is how many times more an append takes.
pub(super) async fn run(server: &Running, settings: &Settings) -> io::Result<Sample> {
    let address = server.address();
    let without = append::run(server, settings, CONNECTIONS, CONNECTIONS, Body::Text).await?;
    let mut connection = Connection::open(address).await?;
    make(&mut connection, 0, "*").await?;
    for other in 1..settings.subscriptions {
        make(&mut connection, other, &format!("other-{other}/*")).await?;
    }
    let with = append::measure(server, settings, CONNECTIONS, CONNECTIONS, Body::Text).await?;
    Ok(Sample {
        value: without.rate() / with.rate(),
        figures: vec![
            Figure::new("with, req/s", with.rate()),
            Figure::new("without, req/s", without.rate()),
            Figure::new("p99 without, µs", without.p99_us),
            Figure::new("cpu with over without", with.cpu_micros() / without.cpu_micros()),
        ],
        ..with
    })
}

/// Makes a pull-wake subscription, and sees that the server takes it for one.
async fn make(connection: &mut Connection, number: usize, pattern: &str) -> io::Result<()> {
    let path = format!("/v1/stream/__ds/subscriptions/bench-{number}");
    let body = format!(
        r#"{{"type":"pull-wake","pattern":"{pattern}","wake_stream":"wake/{number}","lease_ttl_ms":30000}}"#
    );
    let (status, answer) =
        connection.ask(&request("PUT", &path, &[setup::JSON], body.as_bytes())).await?;
    let is_subscription = memchr::memmem::find(&answer, b"pull-wake").is_some();
    match (status, is_subscription) {
        (200 | 201, true) => Ok(()),
        (status, _) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("no subscriptions: PUT was answered with {status}"),
        )),
    }
}
