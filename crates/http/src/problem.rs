//! Errors: every status code and every machine code of an error of a stream, in one file. Those of
//! subscriptions, whose bodies have more to them, are in `subscriptions/failure.rs`.
//!
//! An error is an RFC 9457 `application/problem+json` object: `{type, title, status, detail, code}`.
//! Programs look at `code`, which does not change; `detail` is for people and may.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use streamkeeper::{AppendError, CreateError, DeleteError, ReadError, Unavailable};
use streamkeeper_protocol::InvalidName;
use streamkeeper_protocol::json::InvalidJson;
use streamkeeper_protocol::stream::{
    AppendRejection, CreateRejection, DeleteRejection, ForkRejection, InvalidSubOffset, Trimmed,
};
use streamkeeper_storage::StorageError;

use crate::{cors, header};

/// The type of every error's body.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error response.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), headers: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: impl ToString) -> Self {
        self.headers.push((name, header::value(value)));
        self
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The machine code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// 400, something in the request is not as the protocol wants it.
    pub(crate) fn invalid(code: &'static str, detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail.to_string())
    }

    pub(crate) fn nothing_here() -> Self {
        let detail = "nothing is here; streams live at /v1/stream/NAME, by default";
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "a stream knows GET, HEAD, PUT, POST, DELETE and OPTIONS";
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        problem.headers.push((ALLOW, cors::METHODS));
        problem
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let detail = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    pub(crate) fn body_timeout() -> Self {
        let detail = "the body did not arrive in time";
        let problem = Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail);
        problem.with(CONNECTION, "close")
    }

    fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "stream_not_found", "the stream does not exist")
    }

    fn gone() -> Self {
        let detail = "the stream was deleted; its data lives on for its forks only";
        Self::new(StatusCode::GONE, "stream_gone", detail)
    }

    fn conflict(code: &'static str, detail: impl ToString) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail.to_string())
    }

    fn unavailable(status: StatusCode, code: &'static str, detail: impl ToString) -> Self {
        Self::new(status, code, detail.to_string()).with(RETRY_AFTER, 1)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(status = self.status.as_u16(), code = self.code, detail = %self.detail);
        }
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

impl From<InvalidName> for Problem {
    fn from(error: InvalidName) -> Self {
        match error {
            InvalidName::Empty => {
                Self::new(StatusCode::NOT_FOUND, "stream_name_missing", error.to_string())
            }
            InvalidName::Reserved => {
                Self::new(StatusCode::NOT_FOUND, "reserved_name", error.to_string())
            }
            _ => Self::invalid("invalid_stream_name", error),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            Unavailable::Overloaded => Self::unavailable(unavailable, "overloaded", error),
            Unavailable::Restarting => Self::unavailable(unavailable, "restarting", error),
            Unavailable::Quarantined { .. } => Self::unavailable(unavailable, "quarantined", error),
            Unavailable::OutcomeUnknown => Self::unavailable(unavailable, "outcome_unknown", error),
            Unavailable::ShuttingDown => Self::unavailable(unavailable, "shutting_down", error),
            Unavailable::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            StorageError::NotFound => Self::not_found(),
            StorageError::Conflict => Self::unavailable(unavailable, "storage_conflict", error),
            StorageError::Fenced => Self::unavailable(unavailable, "storage_fenced", error),
            StorageError::Full => {
                Self::unavailable(StatusCode::INSUFFICIENT_STORAGE, "storage_full", error)
            }
            StorageError::Corrupt(_) => {
                let detail = error.to_string();
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "storage_corrupt", detail)
            }
            StorageError::Unavailable(_) => {
                Self::unavailable(unavailable, "storage_unavailable", error)
            }
        }
    }
}

impl From<InvalidJson> for Problem {
    fn from(error: InvalidJson) -> Self {
        Self::invalid("invalid_json", error)
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Rejected(rejection) => rejection.into(),
            CreateError::Fork(rejection) => rejection.into(),
            CreateError::SubOffset(error @ InvalidSubOffset::Misaligned) => {
                Self::invalid("invalid_fork_offset", error)
            }
            CreateError::SubOffset(error @ InvalidSubOffset::Overshoot) => {
                Self::invalid("invalid_fork_sub_offset", error)
            }
            CreateError::InvalidJson(error) => error.into(),
            CreateError::Unavailable(error) => error.into(),
        }
    }
}

impl From<CreateRejection> for Problem {
    fn from(rejection: CreateRejection) -> Self {
        match rejection {
            CreateRejection::Conflict(_) => Self::conflict("stream_exists", rejection),
            CreateRejection::SoftDeleted => Self::conflict("stream_soft_deleted", rejection),
            CreateRejection::NotGranted => Self::conflict("fork_not_granted", rejection),
        }
    }
}

impl From<ForkRejection> for Problem {
    fn from(rejection: ForkRejection) -> Self {
        match &rejection {
            ForkRejection::SourceNotFound => {
                Self::new(StatusCode::NOT_FOUND, "fork_source_not_found", rejection.to_string())
            }
            ForkRejection::SourceDeleted => Self::conflict("fork_source_deleted", rejection),
            ForkRejection::BeyondTail { tail } => {
                let tail = *tail;
                Self::invalid("fork_offset_beyond_tail", rejection)
                    .with(header::STREAM_NEXT_OFFSET, tail)
            }
            ForkRejection::BeforeEarliest { earliest } => {
                let earliest = *earliest;
                Self::invalid("fork_offset_trimmed", rejection)
                    .with(header::STREAM_EARLIEST_OFFSET, earliest)
            }
            ForkRejection::ContentTypeMismatch { .. } => {
                Self::conflict("content_type_mismatch", rejection)
            }
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Rejected(rejection) => rejection.into(),
            AppendError::InvalidJson(error) => error.into(),
            AppendError::EmptyArray => Self::invalid("empty_array", error),
            AppendError::Unavailable(error) => error.into(),
        }
    }
}

impl From<AppendRejection> for Problem {
    fn from(rejection: AppendRejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            AppendRejection::NotFound => Self::not_found(),
            AppendRejection::Gone => Self::gone(),
            AppendRejection::Empty => Self::invalid("empty_body", detail),
            AppendRejection::MissingContentType => Self::invalid("missing_content_type", detail),
            AppendRejection::Closed { next_offset } => Self::conflict("stream_closed", detail)
                .with(header::STREAM_CLOSED, true)
                .with(header::STREAM_NEXT_OFFSET, next_offset),
            AppendRejection::ContentTypeMismatch { .. } => {
                Self::conflict("content_type_mismatch", detail)
            }
            AppendRejection::SeqRegression => Self::conflict("seq_regression", detail),
            AppendRejection::StaleEpoch { current } => {
                Self::new(StatusCode::FORBIDDEN, "stale_epoch", detail)
                    .with(header::PRODUCER_EPOCH, current)
            }
            AppendRejection::EpochNotAtZero => Self::invalid("epoch_not_at_zero", detail),
            AppendRejection::SequenceGap { expected, received } => {
                Self::conflict("sequence_gap", detail)
                    .with(header::PRODUCER_EXPECTED_SEQ, expected)
                    .with(header::PRODUCER_RECEIVED_SEQ, received)
            }
            AppendRejection::Full => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "stream_full", detail)
            }
        }
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Rejected(DeleteRejection::NotFound) => Self::not_found(),
            DeleteError::Rejected(DeleteRejection::Gone) => Self::gone(),
            DeleteError::Unavailable(error) => error.into(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound => Self::not_found(),
            ReadError::Gone => Self::gone(),
            ReadError::Trimmed(trimmed) => trimmed.into(),
            ReadError::Unavailable(error) => error.into(),
        }
    }
}

impl From<Trimmed> for Problem {
    fn from(trimmed: Trimmed) -> Self {
        Self::new(StatusCode::GONE, "offset_trimmed", trimmed.to_string())
            .with(header::STREAM_EARLIEST_OFFSET, trimmed.earliest)
    }
}
