//! DELETE: remove a stream (section 5.4).

use axum::response::Response;
use http::StatusCode;

use crate::target::Target;
use crate::{Api, Problem, response};

pub(crate) async fn handle(api: &Api, target: Target) -> Result<Response, Problem> {
    api.keeper.delete(&target.name).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
