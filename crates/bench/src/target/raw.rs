//! The target `raw`: what tokio and the kernel cost without any HTTP library.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{Framing, Head};

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Answers every request with the same bytes until the process is killed.
pub(crate) fn serve(port: u16) -> io::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(answer(stream));
        }
    })
}

/// Reads requests whole, so that an answer never comes too early.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let used = whole_request(&buffer[..filled])?;
        if used > 0 {
            stream.write_all(ANSWER).await?;
            buffer.copy_within(used..filled, 0);
            filled -= used;
        }
    }
}

/// The length of the first request, if it is whole; else 0.
fn whole_request(bytes: &[u8]) -> io::Result<usize> {
    let Some(head) = Head::parse(bytes)? else { return Ok(0) };
    let Framing::Length(body) = head.framing else {
        return Err(io::Error::other("a chunked request"));
    };
    let whole = head.len + usize::try_from(body).map_err(io::Error::other)?;
    Ok(if whole <= bytes.len() { whole } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_when_its_body_is_there() {
        let request = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi";
        assert_eq!(whole_request(request).unwrap(), request.len());
        assert_eq!(whole_request(&request[..request.len() - 1]).unwrap(), 0);
    }
}
