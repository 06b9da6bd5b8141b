//! The control routes: what they create, confirm, tell and refuse.

use serde_json::json;
use streamkeeper_tests::binary::{PATIENT, Shared};
use streamkeeper_tests::stream::MOUNT;
use streamkeeper_tests::subscription::body;
use streamkeeper_tests::{Request, Subscription};

/// A subscription that nobody is woken by.
fn fresh() -> (Subscription, serde_json::Value) {
    let subscription = Subscription::fresh(Shared::with(PATIENT).address());
    let config = json!({
        "type": "pull-wake",
        "pattern": format!("{}/**", subscription.prefix),
        "streams": ["elsewhere/a"],
        "wake_stream": "wakes",
        "description": "test",
    });
    (subscription, config)
}

#[tokio::test]
async fn a_subscription_is_created_once_confirmed_and_deleted() {
    let _server = Shared::with(PATIENT);
    let (subscription, config) = fresh();
    let created = subscription.put(config.clone()).await.expect(201).expect_browser_headers();
    let confirmed = subscription.put(config.clone()).await.expect(200);
    assert_eq!(body(&created), body(&confirmed));
    let told = subscription.get().await;
    assert_eq!(told, body(&created));
    assert_eq!(told["subscription_id"], subscription.id);
    assert_eq!((&told["lease_ttl_ms"], &told["status"]), (&json!(30_000), &json!("active")));
    assert_eq!(told["streams"][0]["path"], "elsewhere/a");

    let mut other = config.clone();
    other["description"] = json!("another");
    let conflict = subscription.put(other).await;
    let conflict = conflict.expect_problem(409, "subscription_already_exists");
    assert_eq!(body(&conflict)["error"]["code"], "SUBSCRIPTION_ALREADY_EXISTS");

    let delete = Request::new("DELETE", &subscription.path);
    subscription.send(&delete).await.expect(204);
    subscription.send(&delete).await.expect(204);
    let read = subscription.send(&Request::new("GET", &subscription.path)).await;
    read.expect_problem(404, "subscription_not_found");
    for (route, request) in [
        ("claim", json!({"worker": "w"})),
        ("ack", json!({"wake_id": "w", "generation": 1})),
        ("callback", json!({"wake_id": "w", "generation": 1})),
        ("release", json!({"wake_id": "w", "generation": 1})),
        ("streams", json!({"streams": ["a"]})),
    ] {
        let absent = subscription.post(route, "token", request).await;
        absent.expect_problem(404, "subscription_not_found");
    }
    subscription.put(config).await.expect(201);
}

#[tokio::test]
async fn explicit_links_are_added_and_removed() {
    let _server = Shared::with(PATIENT);
    let (subscription, config) = fresh();
    subscription.put(config).await.expect(201);
    let paths = async || {
        let told = subscription.get().await;
        let links = told["streams"].as_array().unwrap().clone();
        links.iter().map(|link| link["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let add = json!({"streams": ["elsewhere/b", "elsewhere/c d"]});
    subscription.post("streams", "", add.clone()).await.expect(204);
    subscription.post("streams", "", add).await.expect(204);
    assert_eq!(paths().await, ["elsewhere/a", "elsewhere/b", "elsewhere/c d"]);
    for encoded in ["elsewhere/b", "elsewhere%2Fc%20d", "elsewhere/never"] {
        let path = format!("{}/streams/{encoded}", subscription.path);
        subscription.send(&Request::new("DELETE", path)).await.expect(204);
    }
    assert_eq!(paths().await, ["elsewhere/a"]);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let server = Shared::with(PATIENT);
    let subscription = Subscription::fresh(server.address());
    for path in ["/subscriptions/", "/subscriptions/a/b", "/jwks.json/", "/keys", ""] {
        let request = Request::new("GET", format!("{MOUNT}/__ds{path}"));
        subscription.send(&request).await.expect_problem(404, "reserved_name");
    }
    for (method, path, allow) in [
        ("POST", "", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("GET", "/claim", "POST, OPTIONS"),
        ("PUT", "/streams", "POST, OPTIONS"),
        ("GET", "/streams/a", "DELETE, OPTIONS"),
        ("PATCH", "/ack", "POST, OPTIONS"),
    ] {
        let request = Request::new(method, format!("{}{path}", subscription.path)).body("{}");
        let refused = subscription.send(&request).await.expect_problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), Some(allow), "{method} {path}");
    }
    let keys = Request::new("PUT", format!("{MOUNT}/__ds/jwks.json")).body("{}");
    subscription.send(&keys).await.expect_problem(405, "method_not_allowed");
    let preflight = Request::new("OPTIONS", format!("{}/claim", subscription.path));
    let preflight = subscription.send(&preflight).await.expect(204).expect_browser_headers();
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
}

#[tokio::test]
async fn bodies_that_say_nothing_are_refused() {
    let _server = Shared::with(PATIENT);
    let (subscription, config) = fresh();
    for body in
        ["", "{", "[]", "1", "{\"type\":\"pull-wake\"}", "{\"type\":\"x\",\"pattern\":\"a\"}"]
    {
        let request = Request::new("PUT", &subscription.path).body(body);
        let refused = subscription.send(&request).await.expect_problem(400, "invalid_request");
        assert_eq!(
            streamkeeper_tests::subscription::body(&refused)["error"]["code"],
            "INVALID_REQUEST"
        );
    }
    for (member, value) in [
        ("lease_ttl_ms", json!(999)),
        ("lease_ttl_ms", json!(600_001)),
        ("streams", json!(["__ds/subscriptions/a"])),
        ("pattern", json!(7)),
        ("wake_stream", json!("")),
    ] {
        let mut config = config.clone();
        config[member] = value;
        subscription.put(config).await.expect_problem(400, "invalid_request");
    }
    let large = Request::new("PUT", &subscription.path).body(vec![b' '; (1 << 20) + 1]);
    subscription.send(&large).await.expect_problem(413, "body_too_large");
    for id in ["a%2Fb", "%ff", "%00", &"x".repeat(257)] {
        let path = format!("{MOUNT}/__ds/subscriptions/{id}");
        let request = Request::new("PUT", path).body(config.to_string());
        subscription.send(&request).await.expect_problem(400, "invalid_request");
    }
}
