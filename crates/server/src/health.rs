//! `/healthz` and `/readyz`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use streamkeeper::Streamkeeper;

/// The process lives.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The server can do its work; 503 with the reason if it cannot.
pub(crate) async fn readyz(State(keeper): State<Streamkeeper>) -> Response {
    match keeper.health() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
