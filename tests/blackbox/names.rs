//! Names: which URLs name a stream, which the same one, and which none.

use std::net::SocketAddr;

use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::stream::fresh_name;
use streamkeeper_tests::{Request, Stream};

fn at(address: SocketAddr, name: &str) -> Stream {
    Stream::at(address, format!("/v1/stream/{name}"), "text/plain")
}

/// Asserts that both names are one stream, or two.
async fn assert_same(address: SocketAddr, one: &str, other: &str, same: bool) {
    let (one, other) = (at(address, one), at(address, other));
    one.send(&one.put()).await.expect(201);
    one.append("mark").await;
    let read = other.read("").await;
    assert_eq!(read.status, if same { 200 } else { 404 }, "{} {}", one.path, other.path);
    one.delete().await.expect(204);
}

#[tokio::test]
async fn names_that_are_encoded_otherwise_are_the_same() {
    let server = Shared::with(PATIENT);
    let address = server.address();
    let name = fresh_name();
    for (one, other) in [
        (format!("{name}/a/b"), format!("{name}%2Fa%2fb")),
        (format!("{name}/été"), format!("{name}/%C3%A9t%c3%a9")),
        (format!("{name}/~x"), format!("{name}/%7Ex")),
        (format!("{name}/a b"), format!("{name}/a%20b")),
        (format!("{name}/🦀"), format!("{name}/%F0%9F%A6%80")),
        (format!("{name}/%41"), format!("{name}/A")),
    ] {
        let one = one.replace(' ', "%20");
        assert_same(address, &one, &other, true).await;
    }
}

#[tokio::test]
async fn names_that_look_alike_are_distinct() {
    let server = Shared::with(PATIENT);
    let address = server.address();
    let name = fresh_name();
    for (one, other) in [
        (format!("{name}/a"), format!("{name}/a/")),
        (format!("{name}/a/"), format!("{name}/a//")),
        (format!("{name}/a"), format!("{name}/A")),
        (format!("{name}//a"), format!("{name}/a")),
        (format!("/{name}"), name.clone()),
        (format!("{name}/é"), format!("{name}/e\u{301}")),
        (format!("{name}/%252F"), format!("{name}/%2F")),
        (format!("{name}/a+b"), format!("{name}/a%20b")),
        (format!("{name}/...",), format!("{name}/")),
    ] {
        assert_same(address, &one, &other, false).await;
    }
}

#[tokio::test]
async fn a_query_and_a_fragment_are_no_part_of_a_name() {
    let server = Shared::with(PATIENT);
    let address = server.address();
    let name = fresh_name();
    let stream = at(address, &format!("{name}?offset=x&junk"));
    let created = stream.send(&stream.put()).await.expect(201);
    let location = created.header("location").unwrap();
    assert_eq!(location, format!("http://streamkeeper.test/v1/stream/{name}"));
    assert_eq!(at(address, &name).head().await.status, 200);
    assert_same(address, &format!("{name}/a%3Fb"), &format!("{name}/a"), false).await;
}

#[tokio::test]
async fn names_that_cannot_be_addressed_reliably_are_refused() {
    let server = Shared::with(PATIENT);
    let address = server.address();
    for name in [
        "..",
        ".",
        "a/../b",
        "a/.",
        "../b",
        "%2e%2e/b",
        "a/%2E",
        "%2e",
        "a%2F..%2Fb",
        "a%00b",
        "a%0d%0ab",
        "%7f",
        "a%09",
        "%ff",
        "a%c3",
        "%ed%a0%80",
        "a%C2%85b",
    ] {
        let stream = at(address, name);
        for method in ["PUT", "POST", "GET", "DELETE"] {
            let request = Request::new(method, &stream.path).header("Content-Type", "text/plain");
            let response = stream.send(&request).await;
            response.expect_problem(400, "invalid_stream_name");
        }
        assert_eq!(stream.head().await.status, 400);
    }
}

#[tokio::test]
async fn names_have_at_most_1024_bytes() {
    let server = Shared::with(PATIENT);
    let address = server.address();
    for name in ["x".repeat(1024), "é".repeat(512), format!("{}%41", "y".repeat(1023))] {
        let stream = at(address, &name);
        stream.send(&stream.put()).await.expect(201);
        stream.append("long").await;
        assert_eq!(stream.text().await, "long");
        stream.delete().await.expect(204);
    }
    for name in ["x".repeat(1025), format!("{}x", "é".repeat(512)), "%C3%A9".repeat(513)] {
        let stream = at(address, &name);
        stream.send(&stream.put()).await.expect_problem(400, "invalid_stream_name");
        stream.read("").await.expect_problem(400, "invalid_stream_name");
    }
}

#[tokio::test]
async fn the_protocols_own_names_are_reserved() {
    let server = Shared::with(PATIENT);
    let address = server.address();
    for name in ["__ds", "__ds/", "__ds/x", "%5F%5Fds/x", "__ds%2Fx", "__ds/subscriptions"] {
        let stream = at(address, name);
        for method in ["PUT", "POST", "GET", "DELETE"] {
            let request = Request::new(method, &stream.path).header("Content-Type", "text/plain");
            let request = if method == "POST" { request.body("x") } else { request };
            stream.send(&request).await.expect_problem(404, "reserved_name");
        }
        assert_eq!(stream.head().await.status, 404);
    }
    for name in ["__dsx", "a/__ds", "x__ds", "__DS"] {
        let stream = at(address, &format!("{name}/{}", fresh_name()));
        stream.send(&stream.put()).await.expect(201);
    }
}

#[tokio::test]
async fn the_root_names_no_stream() {
    let server = Shared::with(PATIENT);
    // The one with the slash is not the router's, but of the server around it.
    for (path, code) in [("/v1/stream", "stream_name_missing"), ("/v1/stream/", "not_found")] {
        let stream = Stream::at(server.address(), path, "text/plain");
        for method in ["PUT", "GET", "POST", "DELETE"] {
            let request = Request::new(method, path).header("Content-Type", "text/plain");
            stream.send(&request).await.expect_problem(404, code);
        }
    }
}

#[tokio::test]
async fn elsewhere_on_the_server_is_no_stream_and_says_so() {
    let server = Shared::with(PATIENT);
    let address = server.address();
    for path in ["/", "/v1", "/v1/streams/x", "/v1/streamx", "/favicon.ico", "//v1/stream/x"] {
        let stream = Stream::at(address, path, "text/plain");
        for method in ["GET", "PUT", "DELETE"] {
            stream.send(&Request::new(method, path)).await.expect_problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn the_location_of_a_new_stream_is_its_url_as_the_client_wrote_it() {
    let server = Shared::with(PATIENT);
    let address = server.address();
    let path = format!("/v1/stream/{}/a%2Fb%20c", fresh_name());
    let stream = Stream::at(address, &path, "text/plain");
    let created = stream.send(&stream.put().header("Host", "example.com:8080")).await.expect(201);
    assert_eq!(created.header("location").unwrap(), format!("http://example.com:8080{path}"));
    let again = stream.send(&stream.put()).await.expect(200);
    assert_eq!(again.header("location"), None);
    // Nobody said that a proxy sets these.
    let stream = Stream::fresh(address, "text/plain");
    let forged = stream.put().header("X-Forwarded-Host", "evil").header("X-Forwarded-Proto", "x");
    let created = stream.send(&forged).await.expect(201);
    assert!(created.header("location").unwrap().starts_with("http://streamkeeper.test/"));
}
