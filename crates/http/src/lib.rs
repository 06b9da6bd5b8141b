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
mod subscriptions;
mod target;

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
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
    Router::new().fallback(nested).with_state(api)
}

/// The streams below a fixed path, for a server that looks at paths itself and saves what a router costs a request.
/// Answers as [`router`] does when it is nested there.
#[derive(Clone)]
pub struct Streams {
    api: Arc<Api>,
    mount: &'static str,
}

impl Streams {
    /// The streams below `mount`, a path that begins with a slash and does not end with one.
    pub fn new(keeper: Streamkeeper, options: Options, mount: &'static str) -> Self {
        Self { api: Arc::new(Api { keeper, options }), mount }
    }

    /// Whether a path is below the mount; the mount itself is not.
    pub fn has(&self, path: &str) -> bool {
        target::is_below(self.mount, path)
    }

    /// Answers a request whose path is below the mount.
    pub fn serve<B>(&self, request: http::Request<B>) -> BoxFuture<'static, Response>
    where
        B: http_body::Body<Data = Bytes, Error: ToString + Send> + Send + Unpin + 'static,
    {
        serve(self.api.clone(), self.mount.len(), request)
    }
}

/// The answer at a path where no stream can be, for the fallback of the router around this one: 404,
/// with the headers that every response of the protocol has.
pub async fn not_found() -> Response {
    let mut response = Problem::nothing_here().into_response();
    cors::decorate(response.headers_mut());
    response
}

async fn nested(State(api): State<Arc<Api>>, mut request: Request) -> Response {
    let mount = match request.extensions_mut().remove::<OriginalUri>() {
        None => 0,
        Some(OriginalUri(original)) => {
            let mount = target::mount(original.path(), request.uri().path());
            *request.uri_mut() = original;
            mount
        }
    };
    serve(api, mount, request).await
}

/// Answers a request for the stream whose name begins `mount` bytes into the path.
///
/// Each kind of request is a future of its own, boxed: one that could be any of them would be as large as
/// the largest, and hold the request once for every function that it is handed through.
fn serve<B>(api: Arc<Api>, mount: usize, request: http::Request<B>) -> BoxFuture<'static, Response>
where
    B: http_body::Body<Data = Bytes, Error: ToString + Send> + Send + Unpin + 'static,
{
    let (parts, body) = request.into_parts();
    if parts.method != Method::OPTIONS
        && let Some(route) = subscriptions::Route::of(&parts.uri, mount)
    {
        return finish(async move {
            let body = body::read(&api, &parts.headers, body);
            Ok(subscriptions::answer(&api, &route, &parts, body).await)
        });
    }
    match parts.method {
        Method::GET => finish(async move { get::handle(&api, Target::of(parts, mount)?).await }),
        Method::HEAD => finish(async move { head::handle(&api, Target::of(parts, mount)?).await }),
        // The body is read before anything is refused, so that the client gets the answer.
        Method::PUT => finish(async move {
            let body = body::read(&api, &parts.headers, body).await?;
            put::handle(&api, Target::of(parts, mount)?, body).await
        }),
        Method::POST => finish(async move {
            let body = body::read(&api, &parts.headers, body).await?;
            post::handle(&api, Target::of(parts, mount)?, body).await
        }),
        Method::DELETE => {
            finish(async move { delete::handle(&api, Target::of(parts, mount)?).await })
        }
        Method::OPTIONS => finish(ready(Ok(cors::preflight()))),
        _ => finish(ready(Err(Problem::method_not_allowed()))),
    }
}

fn finish(
    answer: impl Future<Output = Result<Response, Problem>> + Send + 'static,
) -> BoxFuture<'static, Response> {
    let finished = answer.map(|answer| {
        let mut response = answer.unwrap_or_else(IntoResponse::into_response);
        cors::decorate(response.headers_mut());
        response
    });
    finished.boxed()
}
