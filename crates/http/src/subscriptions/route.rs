//! Paths below `__ds`, and the URLs that the server gives out for them.

use http::Uri;
use http::header::HeaderValue;
use http::request::Parts;
use streamkeeper_protocol::{RESERVED_SEGMENT, StreamName};

use crate::Options;
use crate::target::origin;

/// A path below `__ds`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The path up to and with `__ds`, as the client wrote it.
    control: String,
    /// The id of the subscription, as the client wrote it; empty where none belongs.
    pub(super) id: String,
    /// What the path is about; `None` for a path that is nothing.
    pub(super) action: Option<Action>,
}

/// What a control route is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// The public keys (section 6.5).
    Keys,
    /// The subscription itself (sections 6.2 and 6.3).
    Subscription,
    /// Its explicit links (section 6.4).
    Streams,
    /// One of them, percent-encoded.
    Stream(String),
    /// How a webhook's worker tells of itself (section 7.1).
    Callback,
    /// How a worker takes the work of a pull-wake subscription, tells of itself, and gives it back
    /// (section 7.2).
    Claim,
    Ack,
    Release,
}

impl Route {
    /// The control route of a URL, if it is one: the segment after the mount is `__ds`.
    pub(crate) fn of(uri: &Uri, mount: usize) -> Option<Self> {
        let below = uri.path().get(mount..)?.strip_prefix('/')?;
        let (first, rest) = below.split_once('/').unwrap_or((below, ""));
        if !is_reserved(first) {
            return None;
        }
        let control = uri.path()[..mount + 1 + first.len()].to_owned();
        let (id, action) = action(rest).map_or(("", None), |(id, action)| (id, Some(action)));
        Some(Self { control, id: id.to_owned(), action })
    }

    /// Where workers that a webhook has woken call back.
    pub(super) fn callback_url(&self, request: &Parts, options: &Options) -> String {
        self.url(request, options, &format!("subscriptions/{}/callback", self.id))
    }

    /// Where the public keys are.
    pub(super) fn jwks_url(&self, request: &Parts, options: &Options) -> String {
        self.url(request, options, "jwks.json")
    }

    fn url(&self, request: &Parts, options: &Options, rest: &str) -> String {
        let origin = origin(&request.uri, &request.headers, options).unwrap_or_default();
        format!("{origin}{}/{rest}", self.control)
    }
}

impl Action {
    /// The methods that it knows.
    pub(super) fn methods(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Keys => "GET, HEAD, OPTIONS",
            Self::Subscription => "GET, HEAD, PUT, DELETE, OPTIONS",
            Self::Stream(_) => "DELETE, OPTIONS",
            Self::Streams | Self::Callback | Self::Claim | Self::Ack | Self::Release => {
                "POST, OPTIONS"
            }
        })
    }
}

/// Whether a segment is the reserved one; it may be percent-encoded.
fn is_reserved(segment: &str) -> bool {
    match segment.starts_with(['_', '%']) {
        true => {
            let named = StreamName::from_path(segment);
            segment == RESERVED_SEGMENT
                || named == Err(streamkeeper_protocol::InvalidName::Reserved)
        }
        false => false,
    }
}

/// The subscription and the action of the path below `__ds`.
fn action(path: &str) -> Option<(&str, Action)> {
    if path == "jwks.json" {
        return Some(("", Action::Keys));
    }
    let rest = path.strip_prefix("subscriptions/")?;
    let (id, rest) = rest.split_once('/').map_or((rest, None), |(id, rest)| (id, Some(rest)));
    let action = match rest {
        _ if id.is_empty() => return None,
        None => Action::Subscription,
        Some("streams") => Action::Streams,
        Some("callback") => Action::Callback,
        Some("claim") => Action::Claim,
        Some("ack") => Action::Ack,
        Some("release") => Action::Release,
        Some(rest) => match rest.strip_prefix("streams/") {
            Some(stream) if !stream.is_empty() => Action::Stream(stream.to_owned()),
            _ => return None,
        },
    };
    Some((id, action))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &'static str) -> Option<Route> {
        Route::of(&Uri::from_static(path), "/v1/stream".len())
    }

    #[test]
    fn everything_below_the_reserved_segment_is_a_control_route() {
        for path in [
            "/v1/stream/__ds",
            "/v1/stream/__ds/",
            "/v1/stream/__ds/x",
            "/v1/stream/__ds/subscriptions",
            "/v1/stream/__ds/subscriptions/",
            "/v1/stream/__ds/subscriptions//claim",
            "/v1/stream/__ds/subscriptions/a/x",
            "/v1/stream/__ds/subscriptions/a/streams/",
            "/v1/stream/__ds/jwks.json/",
            "/v1/stream/%5F_ds/x",
            "/v1/stream/__ds%2Fsubscriptions%2Fa",
        ] {
            assert_eq!(route(path).unwrap_or_else(|| panic!("{path}")).action, None, "{path}");
        }
        for path in ["/v1/stream/a", "/v1/stream/__dsx", "/v1/stream/_a/__ds", "/v1/stream//__ds/x"]
        {
            assert_eq!(route(path), None, "{path}");
        }
    }

    #[test]
    fn actions_are_read() {
        for (path, id, action) in [
            ("/v1/stream/__ds/jwks.json", "", Action::Keys),
            ("/v1/stream/__ds/subscriptions/a%20b", "a%20b", Action::Subscription),
            ("/v1/stream/%5f%5fds/subscriptions/a", "a", Action::Subscription),
            ("/v1/stream/__ds/subscriptions/a/streams", "a", Action::Streams),
            ("/v1/stream/__ds/subscriptions/a/streams/b/c", "a", Action::Stream("b/c".into())),
            ("/v1/stream/__ds/subscriptions/a/streams/b%2Fc", "a", Action::Stream("b%2Fc".into())),
            ("/v1/stream/__ds/subscriptions/a/callback", "a", Action::Callback),
            ("/v1/stream/__ds/subscriptions/a/claim", "a", Action::Claim),
            ("/v1/stream/__ds/subscriptions/a/ack", "a", Action::Ack),
            ("/v1/stream/__ds/subscriptions/a/release", "a", Action::Release),
        ] {
            let found = route(path).unwrap();
            assert_eq!((found.id.as_str(), found.action), (id, Some(action)), "{path}");
        }
    }

    #[test]
    fn urls_are_those_that_the_client_used_unless_configured() {
        let uri = Uri::from_static("/deep/v1/__ds/subscriptions/a%20b");
        let route = Route::of(&uri, "/deep/v1".len()).unwrap();
        let request =
            http::Request::put(uri).header("host", "h:1").body(()).unwrap().into_parts().0;
        let mut options = Options::default();
        assert_eq!(
            route.callback_url(&request, &options),
            "http://h:1/deep/v1/__ds/subscriptions/a%20b/callback"
        );
        options.public_url = Some("https://streams.example/x".to_owned());
        assert_eq!(
            route.jwks_url(&request, &options),
            "https://streams.example/x/deep/v1/__ds/jwks.json"
        );
    }
}
