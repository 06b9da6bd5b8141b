//! One subscription as a client knows it: by its URL.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::stream::{MOUNT, fresh_name};
use crate::{Connection, Request, Response};

/// A subscription on a server, and a prefix of stream names that is its own.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The server.
    pub address: SocketAddr,
    /// Its id.
    pub id: String,
    /// The path of its URL.
    pub path: String,
    /// What its pattern begins with.
    pub prefix: String,
}

impl Subscription {
    /// A subscription that does not exist yet.
    pub fn fresh(address: SocketAddr) -> Self {
        let prefix = fresh_name();
        let id = prefix.replace('/', "-");
        let path = format!("{MOUNT}/__ds/subscriptions/{id}");
        Self { address, id, path, prefix }
    }

    /// Creates one that calls a webhook for every stream below its prefix.
    pub async fn webhook(address: SocketAddr, url: &str, lease_ttl_ms: u64) -> Self {
        let subscription = Self::fresh(address);
        subscription.put(subscription.webhook_config(url, lease_ttl_ms)).await.expect(201);
        subscription
    }

    /// The configuration of such a one.
    pub fn webhook_config(&self, url: &str, lease_ttl_ms: u64) -> Value {
        json!({
            "type": "webhook",
            "pattern": format!("{}/*", self.prefix),
            "webhook": {"url": url},
            "lease_ttl_ms": lease_ttl_ms,
        })
    }

    /// Creates one that writes to a wake stream, which is created, too.
    pub async fn pull_wake(address: SocketAddr, lease_ttl_ms: u64) -> Self {
        let subscription = Self::fresh(address);
        let wake_stream = subscription.wake_stream();
        let create = Request::new("PUT", format!("{MOUNT}/{wake_stream}"));
        subscription.send(&create.header("Content-Type", "application/json")).await.expect(201);
        let config = json!({
            "type": "pull-wake",
            "pattern": format!("{}/*", subscription.prefix),
            "wake_stream": wake_stream,
            "lease_ttl_ms": lease_ttl_ms,
        });
        subscription.put(config).await.expect(201);
        subscription
    }

    /// The wake stream of a pull-wake subscription.
    pub fn wake_stream(&self) -> String {
        format!("wakes/{}", self.id)
    }

    /// The wake events so far.
    pub async fn wakes(&self) -> Vec<Value> {
        let read = Request::new("GET", format!("{MOUNT}/{}", self.wake_stream()));
        body(&self.send(&read).await.expect(200)).as_array().expect("an array").clone()
    }

    /// Sends a request on a connection of its own.
    pub async fn send(&self, request: &Request) -> Response {
        Connection::open(self.address).await.send(request).await
    }

    /// Creates or confirms it.
    pub async fn put(&self, config: Value) -> Response {
        self.send(&Request::new("PUT", &self.path).body(config.to_string())).await
    }

    /// Sends JSON to one of its routes, with a token unless that is empty.
    pub async fn post(&self, route: &str, token: &str, body: Value) -> Response {
        let request = Request::new("POST", format!("{}/{route}", self.path)).body(body.to_string());
        let request = match token {
            "" => request,
            token => request.header("Authorization", format!("Bearer {token}")),
        };
        self.send(&request).await
    }

    /// Claims its work.
    pub async fn claim(&self, worker: &str) -> Response {
        self.post("claim", "", json!({"worker": worker})).await
    }

    /// What is told of it.
    pub async fn get(&self) -> Value {
        body(&self.send(&Request::new("GET", &self.path)).await.expect(200))
    }

    /// Appends a message to a stream below its prefix, which is created if need be; gives the tail.
    pub async fn append(&self, stream: &str) -> String {
        let path = format!("{MOUNT}/{}/{stream}", self.prefix);
        let json = |method| Request::new(method, &path).header("Content-Type", "application/json");
        self.send(&json("PUT")).await;
        self.send(&json("POST").body("{\"n\":1}")).await.expect(204).next_offset()
    }

    /// The name of a stream below its prefix.
    pub fn stream(&self, stream: &str) -> String {
        format!("{}/{stream}", self.prefix)
    }

    /// The cursor of a stream below its prefix, if it is linked.
    pub async fn cursor(&self, stream: &str) -> Option<String> {
        let told = self.get().await;
        let links = told["streams"].as_array().expect("links").clone();
        let link = links.into_iter().find(|link| link["path"] == self.stream(stream));
        link.map(|link| link["acked_offset"].as_str().expect("an offset").to_owned())
    }
}

/// The body of a response as JSON.
///
/// # Panics
///
/// It is something else.
pub fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}"))
}
