//! A worker's webhook: takes deliveries, tells the test of them, and answers as it was told to.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::within;

/// A running webhook. Dropping it ends it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    wakes: UnboundedReceiver<Wake>,
    serving: JoinHandle<()>,
}

/// A delivery as it came.
#[derive(Debug, Clone)]
pub struct Wake {
    /// The request line and the headers.
    pub head: String,
    /// The exact bytes of the body.
    pub raw: Vec<u8>,
    /// The same as JSON.
    pub body: Value,
}

impl Receiver {
    /// Starts one that accepts, and leaves the work to be called back.
    pub async fn start() -> Self {
        Self::answering(202, "").await
    }

    /// Starts one with an answer.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub async fn answering(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let (tell, wakes) = unbounded_channel();
        let answer = Arc::new(Mutex::new(String::new()));
        let serving = tokio::spawn(serve(listener, Arc::clone(&answer), tell));
        let receiver = Self { address, answer, wakes, serving };
        receiver.answer(status, body);
        receiver
    }

    /// Answers so from now on.
    pub fn answer(&self, status: u16, body: &str) {
        let length = body.len();
        self.answer_raw(&format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}"));
    }

    /// Answers with these bytes from now on.
    pub fn answer_raw(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock());
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    /// The next delivery.
    ///
    /// # Panics
    ///
    /// None comes.
    pub async fn wake(&mut self) -> Wake {
        within("a delivery", self.wakes.recv()).await.expect("it serves")
    }

    /// A delivery that has come already, if one has.
    pub fn has_come(&mut self) -> Option<Wake> {
        self.wakes.try_recv().ok()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Wake {
    /// The value of a header, whose name is given in lower case.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or_else(|| panic!("no {name} in {}", self.head), |(_, value)| value)
    }

    /// A text of the body.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {}", self.body))
    }
}

async fn serve(listener: TcpListener, answer: Arc<Mutex<String>>, tell: UnboundedSender<Wake>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(receive(stream, Arc::clone(&answer), tell.clone()));
    }
}

/// Takes one delivery, tells of it, and then answers. A server that hangs up is not waited for.
async fn receive(
    mut stream: TcpStream,
    answer: Arc<Mutex<String>>,
    tell: UnboundedSender<Wake>,
) -> Option<()> {
    let mut received = Vec::new();
    let wake = loop {
        if stream.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
        if let Some(wake) = parse(&received) {
            break wake;
        }
    };
    let answer = answer.lock().clone();
    tell.send(wake).ok()?;
    stream.write_all(answer.as_bytes()).await.ok()
}

/// The delivery, if all of it is there.
fn parse(received: &[u8]) -> Option<Wake> {
    let end = memchr::memmem::find(received, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut wake = Wake { head, raw: received[end + 4..].to_vec(), body: Value::Null };
    let length: usize = wake.header("content-length").parse().ok()?;
    if wake.raw.len() < length {
        return None;
    }
    wake.body = serde_json::from_slice(&wake.raw).expect("a delivery is JSON");
    Some(wake)
}
