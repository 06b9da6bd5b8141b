//! PUT: create a stream or a fork (sections 5.1 and 4.2).

use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use streamkeeper::{CreateRequest, Created, Expiry, ForkFrom, Offset, StreamName};
use streamkeeper_protocol::stream::ForkRejection;
use streamkeeper_protocol::{SubOffset, Ttl, header as protocol};

use crate::body::ReadBody;
use crate::post::{content_type, is_closed};
use crate::target::Target;
use crate::{Api, Problem, header, response, retention};

pub(crate) async fn handle(api: &Api, target: Target, body: ReadBody) -> Result<Response, Problem> {
    let ReadBody { bytes, permit } = body;
    let headers = target.headers();
    let request = CreateRequest {
        content_type: content_type(headers)?,
        expiry: expiry(headers)?,
        retention: retention::requested(headers)?,
        closed: is_closed(headers),
        body: bytes,
        fork: fork(&target)?,
    };
    let created = api.keeper.create_with(&target.name, request, permit).await?;
    let mut response = accepted(&created);
    if created.fresh {
        let location = target.location(&api.options);
        response.headers_mut().insert(LOCATION, header::value(location));
    }
    Ok(response)
}

fn accepted(created: &Created) -> Response {
    let mut response = response::empty(match created.fresh {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, header::content_type(&created.content_type));
    headers.insert(header::STREAM_NEXT_OFFSET, header::offset(created.next_offset));
    if created.closed {
        headers.insert(header::STREAM_CLOSED, header::TRUE);
    }
    response
}

fn expiry(headers: &HeaderMap) -> Result<Option<Expiry>, Problem> {
    let ttl = header::get(headers, &header::STREAM_TTL);
    let at = header::get(headers, &header::STREAM_EXPIRES_AT);
    match (ttl, at) {
        (Some(_), Some(_)) => {
            let detail = "Stream-TTL and Stream-Expires-At exclude each other";
            Err(Problem::invalid("ttl_and_expires_at", detail))
        }
        (Some(ttl), None) => Ttl::parse(ttl)
            .map(|ttl| Some(Expiry::Ttl(ttl)))
            .map_err(|error| Problem::invalid("invalid_ttl", error)),
        (None, Some(at)) => protocol::expires_at(at)
            .map(|at| Some(Expiry::At(at)))
            .map_err(|error| Problem::invalid("invalid_expires_at", error)),
        (None, None) => Ok(None),
    }
}

fn fork(target: &Target) -> Result<Option<ForkFrom>, Problem> {
    let headers = target.headers();
    let offset = header::get(headers, &header::STREAM_FORK_OFFSET);
    let sub_offset = header::get(headers, &header::STREAM_FORK_SUB_OFFSET);
    let Some(path) = header::get(headers, &header::STREAM_FORKED_FROM) else {
        if offset.is_some() || sub_offset.is_some() {
            let detail = "a fork offset needs Stream-Forked-From";
            return Err(Problem::invalid("forked_from_missing", detail));
        }
        return Ok(None);
    };
    let sub_offset = sub_offset
        .map(SubOffset::parse)
        .transpose()
        .map_err(|error| Problem::invalid("invalid_fork_sub_offset", error))?;
    Ok(Some(ForkFrom {
        source: source(target, path)?,
        offset: offset.map(fork_offset).transpose()?,
        sub_offset: sub_offset.map_or(0, SubOffset::get),
    }))
}

fn source(target: &Target, path: &[u8]) -> Result<StreamName, Problem> {
    let path = std::str::from_utf8(path);
    let path = path.map_err(|error| Problem::invalid("invalid_forked_from", error))?;
    // A path elsewhere on the server names no stream of ours.
    target.sibling(path).unwrap_or_else(|| Err(ForkRejection::SourceNotFound.into()))
}

fn fork_offset(token: &[u8]) -> Result<Offset, Problem> {
    let invalid = |error: &dyn ToString| Problem::invalid("invalid_fork_offset", error.to_string());
    let token = std::str::from_utf8(token).map_err(|error| invalid(&error))?;
    token.parse().map_err(|error| invalid(&error as &dyn ToString))
}
