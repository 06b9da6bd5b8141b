//! The router of the streams inside an axum application, beside routes of its own.
//!
//! ```sh
//! cargo run -p streamkeeper-examples --example embed_in_axum
//! ```
//!
//! The application serves on a free port, is asked a few things over that port, and stops. Its own
//! route writes to a stream through the handle, and HTTP clients read it: there is one system.

#![expect(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use streamkeeper::{AppendRequest, ContentType, CreateRequest, StreamName, Streamkeeper};
use streamkeeper_http::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keeper = Streamkeeper::builder().start().await?;
    let json = Some(ContentType::parse("application/json")?);
    let request = CreateRequest { content_type: json, ..Default::default() };
    keeper.create(&StreamName::new("audit")?, request).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(axum::serve(listener, app(&keeper)).into_future());

    for request in [
        "GET /hello HTTP/1.1",
        "POST /login HTTP/1.1",
        "GET /streams/audit HTTP/1.1",
        "PUT /streams/notes/today HTTP/1.1",
        "GET /streams/nothing HTTP/1.1",
    ] {
        println!("> {request}\n{}\n", ask(address, request).await?);
    }

    server.abort();
    keeper.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Routes of one's own, and the streams below `/streams`.
fn app(keeper: &Streamkeeper) -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/login", post(login))
        .with_state(keeper.clone())
        .nest("/streams", streamkeeper_http::router(keeper.clone(), Options::default()))
}

/// Notes each login in the stream `audit`, before it answers.
async fn login(State(keeper): State<Streamkeeper>) -> Result<&'static str, (StatusCode, String)> {
    let failed = |error: &dyn Error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let request = AppendRequest {
        content_type: Some(ContentType::parse("application/json").map_err(|e| failed(&e))?),
        body: r#"{"event": "login"}"#.into(),
        ..Default::default()
    };
    let name = StreamName::new("audit").map_err(|error| failed(&error))?;
    keeper.append(&name, request).await.map_err(|error| failed(&error))?;
    Ok("welcome")
}

/// Asks over a connection of its own, and shows the first line and the body of the answer.
async fn ask(address: SocketAddr, request: &str) -> Result<String, Box<dyn Error>> {
    let mut connection = TcpStream::connect(address).await?;
    let head = format!("{request}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("not an HTTP response")?;
    Ok(format!("< {}\n< {body}", head.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().expect("it runs");
    }
}
