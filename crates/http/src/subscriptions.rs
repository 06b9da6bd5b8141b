//! The control routes of subscriptions: everything below `__ds` (sections 6 and 7).

mod failure;
mod route;

use axum::body::Body;
use axum::response::Response;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use streamkeeper::Subscriptions;
use streamkeeper::protocol::subscription::{
    AckRequest, ClaimRequest, Config, Description, ReleaseRequest, Signing, SubscriptionId,
    stream_from_path, streams_from_json,
};

use self::failure::Failure;
use crate::body::ReadBody;
use crate::{Api, Problem, response};

pub(crate) use self::route::Route;

use self::route::Action;

/// The largest body of a control request, in bytes.
const MAX_CONTROL_BODY_BYTES: usize = 1 << 20;

/// How long the keys may be cached (section 6.5). A new key is published before it signs for this long.
const JWKS_CACHING: HeaderValue = HeaderValue::from_static("public, max-age=300");

const JWK_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Answers a request for a control route. `body` reads the body of the request.
pub(crate) async fn answer(
    api: &Api,
    route: &Route,
    request: &Parts,
    body: impl Future<Output = Result<ReadBody, Problem>>,
) -> Response {
    let call = Call { api, route, request, subscriptions: api.keeper.subscriptions() };
    let answer = call.answer(body).await;
    answer.unwrap_or_else(Failure::into_response)
}

/// A request for a control route.
struct Call<'a> {
    api: &'a Api,
    route: &'a Route,
    request: &'a Parts,
    subscriptions: Subscriptions,
}

impl Call<'_> {
    async fn answer(
        &self,
        body: impl Future<Output = Result<ReadBody, Problem>>,
    ) -> Result<Response, Failure> {
        // Read before anything is refused, so that the client gets the answer.
        let ReadBody { bytes: body, permit: _permit } = body.await?;
        if body.len() > MAX_CONTROL_BODY_BYTES {
            return Err(Problem::body_too_large(MAX_CONTROL_BODY_BYTES).into());
        }
        let Some(action) = &self.route.action else { return Err(Failure::no_route()) };
        let method = &self.request.method;
        match (action, method) {
            (Action::Keys, &Method::GET | &Method::HEAD) => Ok(self.keys()),
            (Action::Subscription, &Method::PUT) => self.create(&body).await,
            (Action::Subscription, &Method::GET | &Method::HEAD) => {
                let description = self.subscriptions.get(&self.id()?).await?;
                Ok(self.describe(StatusCode::OK, &description))
            }
            (Action::Subscription, &Method::DELETE) => {
                self.subscriptions.delete(&self.id()?).await?;
                Ok(response::empty(StatusCode::NO_CONTENT))
            }
            (Action::Streams, &Method::POST) => {
                let streams = streams_from_json(&body)?;
                self.subscriptions.add_streams(&self.id()?, streams).await?;
                Ok(response::empty(StatusCode::NO_CONTENT))
            }
            (Action::Stream(path), &Method::DELETE) => {
                let stream = stream_from_path(path)?;
                self.subscriptions.remove_stream(&self.id()?, &stream).await?;
                Ok(response::empty(StatusCode::NO_CONTENT))
            }
            (Action::Callback, &Method::POST) => {
                let ack = AckRequest::from_json(&body)?;
                let ack = self.subscriptions.callback(&self.id()?, self.token(), ack).await?;
                Ok(json(StatusCode::OK, ack.to_json()))
            }
            (Action::Claim, &Method::POST) => {
                let claim = ClaimRequest::from_json(&body)?;
                let claimed = self.subscriptions.claim(&self.id()?, claim).await?;
                Ok(json(StatusCode::OK, claimed.to_json()))
            }
            (Action::Ack, &Method::POST) => {
                let ack = AckRequest::from_json(&body)?;
                let ack = self.subscriptions.ack(&self.id()?, self.token(), ack).await?;
                Ok(json(StatusCode::OK, ack.to_json()))
            }
            (Action::Release, &Method::POST) => {
                let release = ReleaseRequest::from_json(&body)?;
                self.subscriptions.release(&self.id()?, self.token(), release).await?;
                Ok(response::empty(StatusCode::NO_CONTENT))
            }
            (action, _) => Err(Failure::method_not_allowed(action.methods())),
        }
    }

    async fn create(&self, body: &[u8]) -> Result<Response, Failure> {
        let config = Config::from_json(body)?;
        let callback = self.route.callback_url(self.request, &self.api.options);
        let created = self.subscriptions.create(&self.id()?, config, Some(callback)).await?;
        let status = match created.fresh {
            true => StatusCode::CREATED,
            false => StatusCode::OK,
        };
        Ok(self.describe(status, &created.description))
    }

    fn describe(&self, status: StatusCode, description: &Description) -> Response {
        let signing = self.subscriptions.webhooks().map(|webhooks| Signing {
            kid: webhooks.kid(),
            jwks_url: self.route.jwks_url(self.request, &self.api.options),
        });
        json(status, description.to_json(signing.as_ref()))
    }

    fn keys(&self) -> Response {
        let webhooks = self.subscriptions.webhooks();
        // A server that calls no webhooks has signed nothing.
        let set = webhooks.map_or_else(|| r#"{"keys":[]}"#.to_owned(), |webhooks| webhooks.jwks());
        let mut response = Response::new(Body::from(set));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JWK_SET);
        headers.insert(CACHE_CONTROL, JWKS_CACHING);
        response
    }

    fn id(&self) -> Result<SubscriptionId, Failure> {
        Ok(SubscriptionId::from_path(&self.route.id)?)
    }

    /// The bearer token. Without one it is empty, which no token is: that the subscription does not
    /// exist comes first.
    fn token(&self) -> &str {
        bearer(&self.request.headers).unwrap_or_default()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_authorization_is_case_insensitive() {
        let token = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(token("Bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(token("bearer  a.b.c").as_deref(), Some("a.b.c"));
        for other in ["a.b.c", "Basic a.b.c", "Bearer", ""] {
            assert_eq!(token(other), None, "{other}");
        }
    }
}
