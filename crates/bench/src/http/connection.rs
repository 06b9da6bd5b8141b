//! A connection that is kept alive: one request at a time.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::head::header;
use super::{Chunked, Framing, Head};

/// Room for small answers; a body that is larger is read in pieces of this size.
const SMALL_BUFFER: usize = 8 * 1024;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What was read and not yet used: `buffer[begin..end]`.
    begin: usize,
    end: usize,
}

impl Connection {
    /// Connects, with room for small answers.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        Self::with_buffer(address, SMALL_BUFFER).await
    }

    /// Connects, with the given room.
    pub(crate) async fn with_buffer(address: SocketAddr, bytes: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; bytes], begin: 0, end: 0 })
    }

    /// Sends a request and reads its answer to the end. Any status but success is an error.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<()> {
        self.send(request).await?;
        let head = self.head().await?;
        self.body(head.framing, |_| {}).await
    }

    /// Sends a request; the answer is still to be read.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await
    }

    /// Sends a request and gives whatever is answered: status and body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        self.send(request).await?;
        let (head, ()) = self.any_head(|_| ()).await?;
        let mut body = Vec::new();
        self.body(head.framing, |piece| body.extend_from_slice(piece)).await?;
        Ok((head.status, body))
    }

    /// Reads the head of an answer. Any status but success is an error that shows the answer.
    pub(crate) async fn head(&mut self) -> io::Result<Head> {
        self.head_with(|_| ()).await.map(|(head, ())| head)
    }

    /// Reads the head of an answer, and the value of one of its headers.
    pub(crate) async fn head_and(&mut self, name: &str) -> io::Result<(Head, Option<String>)> {
        self.head_with(|head| header(head, name).map(str::to_owned)).await
    }

    /// Reads the head of an answer, and lets somebody look at its bytes.
    async fn head_with<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<(Head, T)> {
        let (head, looked) = self.any_head(look).await?;
        if !head.is_success() {
            let mut body = Vec::new();
            self.body(head.framing, |piece| body.extend_from_slice(piece)).await?;
            let body = String::from_utf8_lossy(&body);
            return Err(io::Error::other(format!("answered {}: {body}", head.status)));
        }
        Ok((head, looked))
    }

    /// Reads the head of an answer with any status.
    async fn any_head<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<(Head, T)> {
        loop {
            let unread = &self.buffer[self.begin..self.end];
            if let Some(head) = Head::parse(unread)? {
                let looked = look(&unread[..head.len]);
                self.begin += head.len;
                return Ok((head, looked));
            }
            if self.begin > 0 {
                self.buffer.copy_within(self.begin..self.end, 0);
                (self.begin, self.end) = (0, self.end - self.begin);
            }
            if self.end == self.buffer.len() {
                return Err(io::Error::other("the head of an answer is too long"));
            }
            self.read_more().await?;
        }
    }

    /// Reads a body to its end, in pieces.
    pub(crate) async fn body(
        &mut self,
        framing: Framing,
        mut piece: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        match framing {
            Framing::Length(length) => {
                let mut left = length;
                while left > 0 {
                    let unread = self.unread().await?;
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(unread.len());
                    piece(&unread[..take]);
                    self.begin += take;
                    left -= take as u64;
                }
            }
            Framing::Chunked => {
                let mut decoder = Chunked::new();
                while !decoder.is_done() {
                    let taken = decoder.feed(self.unread().await?, &mut piece)?;
                    self.begin += taken;
                }
            }
        }
        Ok(())
    }

    /// Reads so many bytes of a body with a known length, and no more.
    pub(crate) async fn beginning(&mut self, bytes: usize) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let take = self.unread().await?.len().min(left);
            self.begin += take;
            left -= take;
        }
        Ok(())
    }

    /// Hangs up, so that nothing of the connection lingers: its port can be used again at once.
    pub(crate) fn abort(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// What was read and not used; reads if there is nothing. Never empty.
    async fn unread(&mut self) -> io::Result<&[u8]> {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
            self.read_more().await?;
        }
        Ok(&self.buffer[self.begin..self.end])
    }

    async fn read_more(&mut self) -> io::Result<()> {
        let read = self.stream.read(&mut self.buffer[self.end..]).await?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection",
            ));
        }
        self.end += read;
        Ok(())
    }
}
