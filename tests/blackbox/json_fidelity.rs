//! JSON streams give back what was written: byte for byte, but for white space between tokens.

use streamkeeper_tests::Stream;
use streamkeeper_tests::binary::{PATIENT, Shared};

/// What a JSON stream answers after one append of the body.
async fn round_trip(server: &Shared, body: &str) -> String {
    let stream = Stream::create(server.address(), "application/json").await;
    stream.append(body).await;
    stream.read("offset=-1").await.expect(200).text()
}

#[tokio::test]
async fn numbers_stay_as_they_were_written() {
    let server = Shared::with(PATIENT);
    let numbers = [
        "12345678901234567890",
        "-12345678901234567890123456789",
        "1e400",
        "-1E+400",
        "-0",
        "0",
        "1.0",
        "1.10",
        "0.1000000000000000055511151231257827",
        "1e0",
        "5e-324",
    ];
    for number in numbers {
        assert_eq!(round_trip(&server, number).await, format!("[{number}]"));
        let nested = format!("{{\"n\":[{number}]}}");
        assert_eq!(round_trip(&server, &nested).await, format!("[{nested}]"));
    }
}

#[tokio::test]
async fn keys_strings_and_escapes_stay_as_they_were_written() {
    let server = Shared::with(PATIENT);
    let messages = [
        r#"{"a":1,"a":2,"b":3,"a":4}"#,
        r#"{"b":1,"a":2}"#,
        r#"{"":""}"#,
        r#""\u0041\/\\\"\b\f\n\r\t""#,
        r#""\ud83d\ude00""#,
        r#""😀 é   \u2028""#,
        r#"" two  spaces \t and , ] } [ { : inside ""#,
        r#"{" k 1 ":" v , "}"#,
        "null",
        "true",
        "false",
        r#""""#,
        "{}",
        r#"{"a":[],"b":{},"c":[[],{}]}"#,
        "\"\u{7f}\u{feff}\"",
    ];
    for message in messages {
        let sent = format!("[{message}]");
        assert_eq!(round_trip(&server, &sent).await, sent);
    }
}

#[tokio::test]
async fn white_space_is_dropped_outside_of_strings_only() {
    let server = Shared::with(PATIENT);
    let pretty = "\r\n\t {\n  \"a b\" : [ 1 ,\t2 , \" x  y \" ] ,\n \"c\"\r:\n{ } }\n ";
    assert_eq!(round_trip(&server, pretty).await, r#"[{"a b":[1,2," x  y "],"c":{}}]"#);
    assert_eq!(round_trip(&server, " [ 1 , [ 2 ] , \"  \" ] ").await, r#"[1,[2],"  "]"#);
}

#[tokio::test]
async fn exactly_one_level_of_array_is_taken_apart() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    let first = stream.append("[[1,2],[3,4]]").await;
    stream.append("[[[1,2,3]]]").await;
    stream.append("[[]]").await;
    stream.append("5").await;
    let all = stream.read("offset=-1").await.text();
    assert_eq!(all, "[[1,2],[3,4],[[1,2,3]],[],5]");
    let rest = stream.read(&format!("offset={first}")).await.text();
    assert_eq!(rest, "[[[1,2,3]],[],5]");
}

#[tokio::test]
async fn an_empty_array_is_an_empty_stream_but_no_append() {
    let server = Shared::with(PATIENT);
    let stream = Stream::fresh(server.address(), "application/json");
    stream.send(&stream.put().body(" [ ] ")).await.expect(201);
    assert_eq!(stream.read("").await.expect(200).text(), "[]");
    stream.send(&stream.post("[]")).await.expect_problem(400, "empty_array");
    let closing = stream.post("[ ]").header("Stream-Closed", "true");
    stream.send(&closing).await.expect_problem(400, "empty_array");
    assert!(!stream.head().await.closed(), "a refused request closes nothing");
    stream.send(&stream.post("")).await.expect_problem(400, "empty_body");
    let filled = Stream::fresh(server.address(), "application/json");
    filled.send(&filled.put().body("[1,2]")).await.expect(201);
    assert_eq!(filled.read("").await.text(), "[1,2]");
}

#[tokio::test]
async fn what_is_no_json_is_refused_whole() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    let bodies: &[&[u8]] = &[
        b"{",
        b"[",
        b"[1,]",
        b"[,1]",
        b"{\"a\":1,}",
        b"{a:1}",
        b"'a'",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"NaN",
        b"Infinity",
        b"1 2",
        b"[1][2]",
        b"{}{}",
        b"[1]\n[2]",
        b"\"\\x\"",
        b"\"\\ud800\"",
        b"\"\n\"",
        b"\"\t\"",
        b"\"unfinished",
        b"nul",
        b"tru e",
        b"\xef\xbb\xbf{}",
        b"\"\xff\"",
        b"[1,2",
        b"// c\n1",
        b" ",
        b"\0",
        b"[1,2,{]",
        b"--1",
        b"1e",
        b"\"\\u12g4\"",
    ];
    for body in bodies {
        let response = stream.send(&stream.post(*body)).await;
        response.expect_problem(400, "invalid_json");
        let other = Stream::fresh(server.address(), "application/json");
        other.send(&other.put().body(*body)).await.expect_problem(400, "invalid_json");
        assert_eq!(other.head().await.status, 404, "{}", body.escape_ascii());
    }
    assert_eq!(stream.read("").await.text(), "[]");
}

#[tokio::test]
async fn deep_nesting_is_refused_or_read_back_never_a_crash() {
    let server = Shared::with(PATIENT);
    let stream = Stream::create(server.address(), "application/json").await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    // The outermost array is the batch; 126 levels are left for the message.
    stream.append(nested(127)).await;
    let body = stream.read("").await.expect(200).body;
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "clients can read it");
    for body in [nested(128), "[".repeat(1_000_000), "{\"a\":".repeat(300_000), nested(100_000)] {
        stream.send(&stream.post(body)).await.expect_problem(400, "invalid_json");
    }
    assert_eq!(stream.read("").await.expect(200).body, body);
}

#[tokio::test]
async fn json_is_json_whatever_the_parameters_and_the_case() {
    let server = Shared::with(PATIENT);
    let mut stream = Stream::create(server.address(), "Application/JSON; charset=utf-8").await;
    stream.content_type = "application/json".into();
    stream.append("[1, 2]").await;
    let response = stream.read("").await;
    assert_eq!(response.text(), "[1,2]");
    assert_eq!(response.header("content-type"), Some("Application/JSON; charset=utf-8"));
    for plain in ["application/ndjson", "application/vnd.api+json", "text/json"] {
        let stream = Stream::create(server.address(), plain).await;
        stream.append("[1, 2").await;
        assert_eq!(stream.read("").await.text(), "[1, 2", "{plain} is not JSON mode");
    }
}

#[tokio::test]
async fn the_type_of_the_stream_comes_before_what_is_wrong_with_the_body() {
    let server = Shared::with(PATIENT);
    let mut stream = Stream::create(server.address(), "text/plain").await;
    stream.content_type = "application/json".into();
    for body in ["{", "[]", "{}"] {
        stream.send(&stream.post(body)).await.expect_problem(409, "content_type_mismatch");
    }
    let mut json = Stream::create(server.address(), "application/json").await;
    json.content_type = "text/plain".into();
    json.send(&json.post("{}")).await.expect_problem(409, "content_type_mismatch");
}
