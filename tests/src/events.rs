//! A reader of server-sent events that keeps the bytes, decodes like a browser, and checks what holds
//! for every connection.

use serde_json::Value;

use crate::{Connection, Response};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The bytes as they came, without the empty line at the end.
    pub raw: String,
    /// The name: `data` or `control`.
    pub name: String,
    /// The data as a browser puts it together.
    pub data: String,
}

/// What a control event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// `streamNextOffset`.
    pub next_offset: String,
    /// `streamCursor`.
    pub cursor: Option<u64>,
    /// `upToDate`.
    pub up_to_date: bool,
    /// `streamClosed`.
    pub closed: bool,
}

/// The events of one connection.
#[derive(Debug)]
pub struct EventReader {
    connection: Connection,
    /// The head of the response.
    pub head: Response,
    text: Vec<u8>,
    /// Whether the body ended as it should, with its last chunk.
    pub ended_cleanly: bool,
}

impl EventReader {
    /// Takes over a connection to which the request has been written.
    pub async fn begin(mut connection: Connection) -> Self {
        let head = connection.head().await.expect("the server answers");
        Self { connection, head, text: Vec::new(), ended_cleanly: false }
    }

    /// The connection, for the requests after this one.
    pub fn into_connection(self) -> Connection {
        self.connection
    }

    /// The next event; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.text, b"\n\n") {
                let rest = self.text.split_off(end + 2);
                let raw = std::mem::replace(&mut self.text, rest);
                let raw = String::from_utf8(raw).expect("events are UTF-8");
                return Some(Event::parse(raw.trim_end_matches("\n\n")));
            }
            match self.connection.chunk().await {
                Some(Some(chunk)) => self.text.extend_from_slice(&chunk),
                Some(None) => {
                    assert!(self.text.is_empty(), "half an event: {}", self.text.escape_ascii());
                    self.ended_cleanly = true;
                    return None;
                }
                None => return None,
            }
        }
    }

    /// The next data event with its control event, or a control event alone.
    ///
    /// # Panics
    ///
    /// A data event is not followed by its control event.
    pub async fn step(&mut self) -> Option<(Option<String>, Control)> {
        let event = self.next().await?;
        if event.name == "control" {
            return Some((None, event.control()));
        }
        assert_eq!(event.name, "data", "{event:?}");
        let control = self.next().await.expect("a data event is followed by a control event");
        Some((Some(event.data), control.control()))
    }

    /// Steps until the reader has caught up, and returns all data and where it stands.
    pub async fn catch_up(&mut self) -> (Vec<String>, Control) {
        let mut all = Vec::new();
        loop {
            let (data, control) = self.step().await.expect("the connection goes on");
            all.extend(data);
            if control.up_to_date {
                return (all, control);
            }
        }
    }

    /// Steps to the end of the connection, and returns all data and the last control event.
    pub async fn to_end(&mut self) -> (Vec<String>, Option<Control>) {
        let (mut all, mut last) = (Vec::new(), None);
        while let Some((data, control)) = self.step().await {
            all.extend(data);
            last = Some(control);
        }
        (all, last)
    }
}

impl Event {
    fn parse(raw: &str) -> Self {
        let (mut name, mut data) = (String::new(), Vec::new());
        // A browser ends a line at CRLF, CR and LF alike, so a CR that got through would show here.
        for line in raw.split(['\n', '\r']) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = value.to_owned(),
                "data" => data.push(value),
                _ => panic!("unknown field in {raw:?}"),
            }
        }
        Self { raw: raw.to_owned(), name, data: data.join("\n") }
    }

    /// What a control event says.
    ///
    /// # Panics
    ///
    /// It is no control event, or holds what the protocol does not know.
    pub fn control(&self) -> Control {
        assert_eq!(self.name, "control", "{self:?}");
        let value: Value = serde_json::from_str(&self.data).expect("a control event is JSON");
        let fields = value.as_object().expect("a control event is an object");
        let known = ["streamNextOffset", "streamCursor", "upToDate", "streamClosed"];
        assert!(fields.keys().all(|key| known.contains(&key.as_str())), "{self:?}");
        let flag = |key: &str| value.get(key).is_some_and(|flag| flag == true);
        let cursor = value.get("streamCursor").map(|cursor| cursor.as_str().unwrap());
        let control = Control {
            next_offset: value["streamNextOffset"].as_str().unwrap().to_owned(),
            cursor: cursor.map(|cursor| cursor.parse().expect("a cursor is a number")),
            up_to_date: flag("upToDate"),
            closed: flag("streamClosed"),
        };
        assert_ne!(control.cursor.is_some(), control.closed, "a cursor unless closed: {self:?}");
        control
    }
}
