//! `/healthz` and `/readyz`, and what is said at any path without a stream.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
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

/// No stream is here.
pub(crate) async fn nothing_here() -> Response {
    let body = json!({
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "nothing is here; streams live at /v1/stream/NAME",
        "code": "not_found",
    });
    let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::NOT_FOUND, content_type, body.to_string()).into_response()
}
