//! Which stream a request is about, and where it is mounted.

use http::Uri;
use http::header::{HOST, HeaderMap, HeaderName};
use http::request::Parts;
use streamkeeper::StreamName;

use crate::{Options, Problem};

static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// A request and the stream that it names.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: StreamName,
    /// Its URI is the URL of the stream as the client knows it.
    pub(crate) request: Parts,
    /// The length of the path below which streams are.
    mount: usize,
}

impl Target {
    pub(crate) fn of(request: Parts, mount: usize) -> Result<Self, Problem> {
        let below = &request.uri.path()[mount..];
        let name = StreamName::from_path(below.strip_prefix('/').unwrap_or(below))?;
        Ok(Self { name, request, mount })
    }

    /// The request's headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.request.headers
    }

    /// The absolute URL of the stream; only its path if the client did not say whom it called.
    pub(crate) fn location(&self, options: &Options) -> String {
        let Parts { uri, headers, .. } = &self.request;
        let origin = origin(uri, headers, options).unwrap_or_default();
        format!("{origin}{}", uri.path())
    }

    /// The stream that the path of another stream's URL names, on the same server (section 4.2).
    ///
    /// `None` for a path that is not below where this one is.
    pub(crate) fn sibling(&self, path: &str) -> Option<Result<StreamName, Problem>> {
        let mount = self.request.uri.path().get(..self.mount)?;
        let name = path.strip_prefix(mount)?.strip_prefix('/')?;
        Some(StreamName::from_path(name).map_err(Problem::from))
    }
}

/// The length of the path below which the router is nested, where `path` is what nesting has left.
pub(crate) fn mount(original: &str, path: &str) -> usize {
    // At the mount itself nesting leaves a slash that the path does not have.
    let Some(mount) = original.strip_suffix(path) else { return original.len() };
    // If the name begins with a slash, nesting takes the slash before it away, too.
    mount.trim_end_matches('/').len()
}

fn origin(uri: &Uri, headers: &HeaderMap, options: &Options) -> Option<String> {
    let text = |name: &'static HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = |name: &'static HeaderName| text(name).filter(|_| options.trust_forwarded);
    let scheme = forwarded(&X_FORWARDED_PROTO).or(uri.scheme_str()).unwrap_or("http");
    let authority = uri.authority().map(|authority| authority.as_str());
    let host = forwarded(&X_FORWARDED_HOST).or(text(&HOST)).or(authority)?;
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_what_nesting_has_taken_away() {
        let cases = [
            ("/v1/stream/a/b", "/a/b", "/v1/stream"),
            ("/v1/stream//x", "/x", "/v1/stream"),
            ("/v1/stream", "/", "/v1/stream"),
            ("/a", "/a", ""),
            ("/", "/", ""),
        ];
        for (original, path, expected) in cases {
            assert_eq!(&original[..mount(original, path)], expected, "{original} {path}");
        }
    }
}
