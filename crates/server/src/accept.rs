//! Connections: accepted, served, and let go in order.

mod connections;
mod header_timer;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::FutureExt;
use futures::future::{BoxFuture, Map};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use streamkeeper_http::Streams;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

pub(crate) use self::connections::Connections;
use self::header_timer::HeaderTimer;

/// How long a client may take to send the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait before accepting again when the machine is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Answer = Result<Response<Body>, Infallible>;
/// A request that is being answered.
type Serving = Map<BoxFuture<'static, Response<Body>>, fn(Response<Body>) -> Answer>;

/// What is served.
pub(crate) struct App {
    /// The streams, which nearly every request is for.
    pub(crate) streams: Streams,
    /// Everything, the streams among it.
    pub(crate) routes: Router,
}

impl App {
    fn serve(&self, request: Request<Incoming>) -> Serving {
        let answer = match self.streams.has(request.uri().path()) {
            true => self.streams.serve(request),
            false => {
                let answer = self.routes.clone().oneshot(request.map(Body::new));
                answer.map(|answer| answer.unwrap_or_else(|impossible| match impossible {})).boxed()
            }
        };
        answer.map(Ok)
    }
}

/// Serves connections until `stop` resolves; hands back those that are still open.
pub(crate) async fn serve(
    listener: TcpListener,
    app: App,
    stop: impl Future<Output = ()>,
) -> Connections {
    let app = Arc::new(app);
    let connections = Connections::new();
    let mut http = Builder::new(TokioExecutor::new());
    // Without `pipeline_flush`, which would copy every body behind its head before it is sent.
    http.http1().header_read_timeout(HEADER_TIMEOUT);
    http.http2().timer(TokioTimer::new());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => return connections,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => spawn(&http, stream, &app, &connections),
            Err(error) => pause(&error).await,
        }
    }
}

fn spawn(
    http: &Builder<TokioExecutor>,
    stream: TcpStream,
    app: &Arc<App>,
    connections: &Connections,
) {
    // Live data is small and must not wait for more of it.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let app = app.clone();
    let service = service_fn(move |request| app.serve(request));
    let mut http = http.clone();
    http.http1().timer(HeaderTimer::default());
    let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(connection);
}

async fn pause(error: &io::Error) {
    match error.kind() {
        // The client's own doing.
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
        _ => {
            tracing::error!(%error, "cannot accept connections");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}
