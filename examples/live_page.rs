//! A page that shows a stream live: a `Listener` behind server-sent events, in an axum application.
//!
//! ```sh
//! cargo run -p streamkeeper-examples --example live_page
//! ```
//!
//! Open the address that it prints: whatever is typed in one window shows in all of them. Each window has
//! a listener of its own, which tells messages with their offsets; the offset is the event's id, so a
//! browser that lost its connection goes on where it was. `--once` asks the page itself and ends.

#![expect(clippy::print_stdout, reason = "an example tells what it does")]

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures::{Stream, StreamExt};
use streamkeeper::{
    AppendRequest, CreateRequest, Message, ReadFrom, StreamName, Streamkeeper, Update,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the page is about.
#[derive(Clone)]
struct Room {
    keeper: Streamkeeper,
    name: StreamName,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let once = std::env::args().any(|argument| argument == "--once");
    let keeper = Streamkeeper::builder().start().await?;
    let room = Room { keeper: keeper.clone(), name: StreamName::new("chat/lobby")? };
    keeper.create(&room.name, CreateRequest::text().body("welcome")).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("http://{address}");
    let server = tokio::spawn(axum::serve(listener, app(room)).into_future());
    match once {
        true => look(address).await?,
        false => tokio::signal::ctrl_c().await?,
    }
    // Listeners end first, and with them the responses that they feed.
    keeper.shutdown(Duration::from_secs(5)).await;
    server.abort();
    Ok(())
}

fn app(room: Room) -> Router {
    let chat = get(listen).post(say);
    Router::new().route("/", get(|| async { Html(PAGE) })).route("/chat", chat).with_state(room)
}

async fn say(State(room): State<Room>, text: Bytes) -> Result<StatusCode, (StatusCode, String)> {
    let appended = room.keeper.append(&room.name, AppendRequest::text(text)).await;
    appended.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Server-sent events: what the listener tells, in the words of a browser.
async fn listen(State(room): State<Room>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let from = last.and_then(|id| id.parse().ok()).map_or(ReadFrom::Start, ReadFrom::At);
    let mut listener = room.keeper.listener();
    listener.listen(&room.name, from);
    let body = Body::from_stream(events(listener).map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn events(updates: impl Stream<Item = Update>) -> impl Stream<Item = String> {
    updates.map(|update| match update {
        Update::Data(messages) => messages.iter().map(event).collect(),
        Update::Status(status) => format!("event: status\ndata: {status:?}\n\n"),
        Update::Complete => "event: status\ndata: Complete\n\n".into(),
        Update::Error(error) => format!("event: status\ndata: {error}\n\n"),
    })
}

/// A message as an event: a line of it is a line of data.
fn event(message: &Message) -> String {
    let text = message.text();
    let lines = text.split(['\n', '\r']).map(|line| format!("data: {line}\n"));
    format!("id: {}\n{}\n", message.offset, lines.collect::<String>())
}

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>Lobby</title>
<h1>Lobby <small id="status"></small></h1>
<ul id="messages"></ul>
<form id="form"><input id="text" autofocus autocomplete="off"></form>
<script>
  const by = (id) => document.getElementById(id)
  const events = new EventSource("/chat")
  events.onmessage = (event) => {
    const item = document.createElement("li")
    item.textContent = event.data
    by("messages").append(item)
  }
  events.addEventListener("status", (event) => { by("status").textContent = event.data })
  by("form").onsubmit = (event) => {
    event.preventDefault()
    fetch("/chat", { method: "POST", body: by("text").value })
    by("text").value = ""
  }
</script>
"#;

/// A browser in a few lines: opens the events, says something, and reads until it comes back.
async fn look(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut events = TcpStream::connect(address).await?;
    events.write_all(b"GET /chat HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut speaker = TcpStream::connect(address).await?;
    let request = "POST /chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello";
    speaker.write_all(request.as_bytes()).await?;

    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("data: hello") {
        let read = events.read(&mut buffer).await?;
        if read == 0 {
            return Err("the page ended early".into());
        }
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    println!("{seen}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamkeeper::Offset;

    #[tokio::test]
    async fn what_is_said_shows_on_the_page() {
        let keeper = Streamkeeper::builder().start().await.expect("it starts");
        let room = Room { keeper: keeper.clone(), name: StreamName::new("room").expect("a name") };
        let welcome = CreateRequest::text().body("two\nlines");
        keeper.create(&room.name, welcome).await.expect("it is created");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(axum::serve(listener, app(room)).into_future());
        look(address).await.expect("it is told");
        keeper.shutdown(Duration::from_secs(5)).await;
        server.abort();
    }

    #[test]
    fn a_message_of_two_lines_is_one_event_and_its_id_the_offset() {
        let (start, offset) = (Offset::new(0), Offset::new(3));
        let message = Message { start, offset, data: Bytes::from_static(b"a\nb") };
        assert_eq!(event(&message), format!("id: {offset}\ndata: a\ndata: b\n\n"));
    }
}
