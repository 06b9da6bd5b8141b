//! The target `axum`: what axum costs when there is nothing to do. Our ceiling.

use std::io;
use std::net::Ipv4Addr;

use axum::Router;
use axum::http::StatusCode;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Answers everything with 204 until the process is killed.
pub(crate) fn serve(port: u16) -> io::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let listener = listener.tap_io(|stream| {
            // Only slower without.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, Router::new().fallback(async || StatusCode::NO_CONTENT)).await
    })
}
