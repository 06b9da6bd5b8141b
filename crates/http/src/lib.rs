//! The Durable Streams protocol over HTTP, as an axum [`Router`] in front of a [`Streamkeeper`].
//!
//! The router serves the streams below wherever it is nested:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use streamkeeper::Streamkeeper;
//! use streamkeeper_http::Options;
//!
//! let keeper = Streamkeeper::builder().start().await?;
//! let app: Router = Router::new()
//!     .nest("/v1/stream", streamkeeper_http::router(keeper, Options::default()));
//! # let _ = app;
//! # Ok(())
//! # }
//! ```

mod body;
mod cors;
mod delete;
mod get;
mod head;
mod header;
mod long_poll;
mod options;
mod post;
mod problem;
mod put;
mod query;
mod response;
mod retention;
mod segments;
mod sse;
mod target;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::Method;
use streamkeeper::Streamkeeper;

pub use options::{CacheVisibility, Options};
pub use problem::Problem;

use target::Target;

/// What every handler works with.
pub(crate) struct Api {
    pub(crate) keeper: Streamkeeper,
    pub(crate) options: Options,
}

/// The routes of all streams of a system. Nest it at any path; the rest of the path is the name.
pub fn router(keeper: Streamkeeper, options: Options) -> Router {
    let api = Arc::new(Api { keeper, options });
    // The name is all of the path, so there is nothing to route but the method.
    Router::new().fallback(serve).with_state(api)
}

/// The answer at a path where no stream can be, for the fallback of the router around this one: 404,
/// with the headers that every response of the protocol has.
pub async fn not_found() -> Response {
    let mut response = Problem::nothing_here().into_response();
    cors::decorate(response.headers_mut());
    response
}

async fn serve(State(api): State<Arc<Api>>, request: Request) -> Response {
    let mut response = match answer(&api, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    cors::decorate(response.headers_mut());
    response
}

async fn answer(api: &Api, request: Request) -> Result<Response, Problem> {
    if request.method() == Method::OPTIONS {
        return Ok(cors::preflight());
    }
    let target = Target::of(&request);
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::GET => get::handle(api, &target?, &parts).await,
        Method::HEAD => head::handle(api, &target?).await,
        Method::PUT => {
            // The body is read before anything is refused, so that the client gets the answer.
            let body = body::read(api, &parts.headers, body).await?;
            put::handle(api, &target?, &parts.headers, body).await
        }
        Method::POST => {
            let body = body::read(api, &parts.headers, body).await?;
            post::handle(api, &target?, &parts.headers, body).await
        }
        Method::DELETE => delete::handle(api, &target?).await,
        _ => Err(Problem::method_not_allowed()),
    }
}
