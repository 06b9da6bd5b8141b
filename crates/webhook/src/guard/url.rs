//! Which URLs may be given (PROTOCOL.md sections 6.2 and 12.8).

use std::net::{IpAddr, Ipv4Addr};

use ::url::{Host, Url};
use streamkeeper::protocol::subscription::MAX_URL_BYTES;

use super::address;

/// What is allowed beyond `https` to public hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UrlPolicy {
    /// For development: `http://localhost` and `http://127.0.0.0/8` too. Default: no.
    pub allow_localhost: bool,
}

/// Why a URL is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRejection {
    /// It is too long.
    #[error("webhook.url is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// It is not an absolute URL.
    #[error("webhook.url is not a URL: {0}")]
    Malformed(String),
    /// Another scheme than the ones allowed.
    #[error("webhook.url must begin with https://")]
    NotHttps,
    /// This server is not in development mode.
    #[error(
        "webhook.url must begin with https://; http://localhost needs --webhook-allow-localhost"
    )]
    LocalhostNotAllowed,
    /// Names and passwords would end up in logs.
    #[error("webhook.url must hold no user name or password")]
    Credentials,
    /// There is no host, or none of the public name space.
    #[error("webhook.url must name a public host")]
    NoPublicHost,
    /// There is no such port.
    #[error("webhook.url has no port that can be connected to")]
    NoPort,
    /// The address is not one of the public internet.
    #[error("webhook.url leads to {0}, {1}")]
    Forbidden(IpAddr, &'static str),
}

/// Which addresses a URL may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those of the public internet.
    Public,
    /// Those of this machine, and no other.
    Loopback,
}

/// A URL that the policy has let through. The addresses of its name are still to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookUrl {
    url: Url,
    host: Host,
    reach: Reach,
}

impl Reach {
    /// What forbids an address, if something does.
    pub(crate) fn forbids(self, address: IpAddr) -> Option<&'static str> {
        match self {
            Self::Public => address::not_public(address),
            Self::Loopback => address::not_loopback(address),
        }
    }
}

impl UrlPolicy {
    /// Reads and judges a URL. Spellings are normalised first, as browsers do: `0x7f.1` is 127.0.0.1.
    pub(crate) fn judge(self, text: &str) -> Result<WebhookUrl, UrlRejection> {
        if text.len() > MAX_URL_BYTES {
            return Err(UrlRejection::TooLong);
        }
        let url = Url::parse(text).map_err(|error| UrlRejection::Malformed(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRejection::Credentials);
        }
        let host = url.host().ok_or(UrlRejection::NoPublicHost)?.to_owned();
        if url.port_or_known_default() == Some(0) {
            return Err(UrlRejection::NoPort);
        }
        let reach = match url.scheme() {
            "https" => Reach::Public,
            "http" if is_localhost(&host) => Reach::Loopback,
            _ => return Err(UrlRejection::NotHttps),
        };
        match reach {
            Reach::Loopback if !self.allow_localhost => Err(UrlRejection::LocalhostNotAllowed),
            Reach::Loopback => Ok(WebhookUrl { url, host, reach }),
            Reach::Public => {
                judge_public(&host)?;
                Ok(WebhookUrl { url, host, reach })
            }
        }
    }
}

impl WebhookUrl {
    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The address, if the URL has one instead of a name.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The host without the brackets of IPv6: what is resolved, and what a certificate must be for.
    pub(crate) fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => without_dot(name).to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// The value of `Host`.
    pub(crate) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// The target of the request: path and query.
    pub(crate) fn path_and_query(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

fn is_localhost(host: &Host) -> bool {
    match host {
        Host::Domain(name) => without_dot(name) == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        // PROTOCOL.md names the two above only.
        Host::Ipv6(_) => false,
    }
}

/// What can be said of a host before it is resolved.
fn judge_public(host: &Host) -> Result<(), UrlRejection> {
    let address: IpAddr = match host {
        Host::Ipv4(address) => (*address).into(),
        Host::Ipv6(address) => (*address).into(),
        Host::Domain(name) => return judge_name(without_dot(name)),
    };
    match Reach::Public.forbids(address) {
        Some(why) => Err(UrlRejection::Forbidden(address, why)),
        None => Ok(()),
    }
}

/// A name without a dot is one of the local network, where search domains are tried, too.
fn judge_name(name: &str) -> Result<(), UrlRejection> {
    if name.ends_with(".localhost") || name == "localhost" {
        return Err(UrlRejection::Forbidden(Ipv4Addr::LOCALHOST.into(), "a loopback address"));
    }
    match name.contains('.') && !name.ends_with('.') {
        true => Ok(()),
        false => Err(UrlRejection::NoPublicHost),
    }
}

/// A name that is marked as absolute is the same name.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}
