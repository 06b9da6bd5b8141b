//! Errors of control requests: their status codes and machine codes.
//!
//! Two bodies are the protocol's, to the letter: `FENCED` and `ALREADY_CLAIMED`. All others are problems
//! as everywhere, with one more member, `error`, in the shape of those two, because that is where clients of the
//! protocol look: `{"error":{"code":"SUBSCRIPTION_NOT_FOUND","message":...}}`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use serde::Serialize;
use streamkeeper::protocol::subscription::{
    ClaimRejection, InvalidConfig, InvalidId, InvalidRequest,
};
use streamkeeper::{AckError, ClaimError, CreateSubscriptionError, SubscriptionError, Unavailable};
use streamkeeper_protocol::InvalidName;

use super::json;
use crate::Problem;
use crate::problem::PROBLEM_JSON;

/// Why a control request is refused.
#[derive(Debug)]
pub(super) enum Failure {
    /// Something that is not particular to subscriptions.
    Problem(Problem),
    /// A problem with a subscription.
    Refused { status: StatusCode, code: &'static str, detail: String, header: Option<Header> },
    /// 409: the wake is over.
    Fenced,
    /// 409: another worker has the lease.
    AlreadyClaimed { current_holder: String, generation: u64 },
}

type Header = (HeaderName, HeaderValue);

/// The body that the protocol gives its errors.
#[derive(Serialize)]
struct Exact<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_holder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

/// A problem that has that body as well.
#[derive(Serialize)]
struct Both<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    error: Error<'a>,
}

impl Failure {
    fn refused(status: StatusCode, code: &'static str, detail: impl ToString) -> Self {
        Self::Refused { status, code, detail: detail.to_string(), header: None }
    }

    fn with(mut self, added: Header) -> Self {
        if let Self::Refused { header, .. } = &mut self {
            *header = Some(added);
        }
        self
    }

    fn invalid(detail: impl ToString) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    fn not_found() -> Self {
        let detail = "the subscription does not exist";
        Self::refused(StatusCode::NOT_FOUND, "subscription_not_found", detail)
    }

    fn unauthorized(code: &'static str, detail: impl ToString) -> Self {
        let challenge = (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Self::refused(StatusCode::UNAUTHORIZED, code, detail).with(challenge)
    }

    /// 404, nothing of the protocol is at this path.
    pub(super) fn no_route() -> Self {
        let detail = "the path is reserved by the protocol, and none of its control routes";
        Self::refused(StatusCode::NOT_FOUND, "reserved_name", detail)
    }

    /// 405, the route knows only these methods.
    pub(super) fn method_not_allowed(methods: HeaderValue) -> Self {
        let detail = "this control route does not know the method";
        let failure = Self::refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        failure.with((ALLOW, methods))
    }

    pub(super) fn into_response(self) -> Response {
        let blank = Error { code: "", message: None, current_holder: None, generation: None };
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Fenced => exact(&Exact { error: Error { code: "FENCED", ..blank } }),
            Self::AlreadyClaimed { current_holder, generation } => exact(&Exact {
                error: Error {
                    code: "ALREADY_CLAIMED",
                    current_holder: Some(&current_holder),
                    generation: Some(generation),
                    ..blank
                },
            }),
            Self::Refused { status, code, detail, header } => {
                let shouted = code.to_ascii_uppercase();
                let error = Error { code: &shouted, message: Some(&detail), ..blank };
                let title = status.canonical_reason().unwrap_or("Error");
                let both = Both {
                    r#type: "about:blank",
                    title,
                    status: status.as_u16(),
                    detail: &detail,
                    code,
                    error,
                };
                let mut response = json(status, serde_json::to_vec(&both).unwrap_or_default());
                let headers = response.headers_mut();
                headers.insert(http::header::CONTENT_TYPE, PROBLEM_JSON);
                headers.extend(header);
                response
            }
        }
    }
}

fn exact(body: &Exact<'_>) -> Response<Body> {
    json(StatusCode::CONFLICT, serde_json::to_vec(body).unwrap_or_default())
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Unavailable> for Failure {
    fn from(why: Unavailable) -> Self {
        Self::Problem(why.into())
    }
}

impl From<InvalidConfig> for Failure {
    fn from(error: InvalidConfig) -> Self {
        Self::invalid(error)
    }
}

impl From<InvalidRequest> for Failure {
    fn from(error: InvalidRequest) -> Self {
        Self::invalid(error)
    }
}

impl From<InvalidId> for Failure {
    fn from(error: InvalidId) -> Self {
        Self::invalid(error)
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        Self::invalid(error)
    }
}

impl From<SubscriptionError> for Failure {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::NotFound => Self::not_found(),
            SubscriptionError::Unavailable(why) => why.into(),
        }
    }
}

impl From<CreateSubscriptionError> for Failure {
    fn from(error: CreateSubscriptionError) -> Self {
        let detail = error.to_string();
        match error {
            CreateSubscriptionError::Conflict => {
                Self::refused(StatusCode::CONFLICT, "subscription_already_exists", detail)
            }
            CreateSubscriptionError::WebhooksDisabled => Self::invalid(detail),
            CreateSubscriptionError::UrlRejected(why) => {
                Self::refused(StatusCode::BAD_REQUEST, "webhook_url_rejected", why)
            }
            CreateSubscriptionError::Unavailable(why) => why.into(),
        }
    }
}

impl From<ClaimError> for Failure {
    fn from(error: ClaimError) -> Self {
        let detail = error.to_string();
        match error {
            ClaimError::NotFound => Self::not_found(),
            ClaimError::Rejected(ClaimRejection::NotPullWake) => Self::invalid(detail),
            ClaimError::Rejected(ClaimRejection::AlreadyClaimed { current_holder, generation }) => {
                Self::AlreadyClaimed { current_holder, generation }
            }
            ClaimError::Rejected(ClaimRejection::NoPendingWork) => {
                Self::refused(StatusCode::CONFLICT, "no_pending_work", detail)
            }
            ClaimError::Unavailable(why) => why.into(),
        }
    }
}

impl From<AckError> for Failure {
    fn from(error: AckError) -> Self {
        let detail = error.to_string();
        match error {
            AckError::NotFound => Self::not_found(),
            AckError::WrongDelivery => Self::invalid(detail),
            AckError::TokenInvalid => Self::unauthorized("token_invalid", detail),
            AckError::TokenExpired => Self::unauthorized("token_expired", detail),
            AckError::Fenced => Self::Fenced,
            AckError::InvalidOffset { .. } => {
                Self::refused(StatusCode::CONFLICT, "invalid_offset", detail)
            }
            AckError::Unavailable(why) => why.into(),
        }
    }
}
