//! Where a delivery may go (PROTOCOL.md section 12.8): server-side request forgery is stopped here.
//!
//! Whoever may create a subscription tells the server which URL to request. So the URL is judged when it is
//! given, its name is resolved by us at every delivery, *every* address of the answer is judged, and the
//! connection is made to an address that was judged: there is no second resolution that could answer
//! otherwise.

mod address;
mod resolve;
mod url;

use std::net::{IpAddr, SocketAddr};

pub use self::resolve::{Resolve, SystemResolver};
pub use self::url::{UrlPolicy, UrlRejection};

pub(crate) use self::url::WebhookUrl;

/// Why no address of a name is used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTarget {
    #[error("the host name cannot be resolved: {0}")]
    Unresolved(#[from] std::io::Error),
    #[error("the host name has no address")]
    NoAddress,
    #[error("the host name leads to {0}, {1}")]
    Forbidden(IpAddr, &'static str),
}

/// The addresses that may be connected to for a URL; all of them were judged.
///
/// # Errors
///
/// The name has no address, or *any* of its addresses is forbidden.
pub(crate) async fn target(
    url: &WebhookUrl,
    resolver: &dyn Resolve,
) -> Result<Vec<SocketAddr>, NoTarget> {
    let addresses = match url.literal() {
        Some(address) => vec![address],
        None => resolver.resolve(&url.host(), url.port()).await?,
    };
    if addresses.is_empty() {
        return Err(NoTarget::NoAddress);
    }
    let forbidden = |address: &IpAddr| Some((*address, url.reach().forbids(*address)?));
    if let Some((address, why)) = addresses.iter().find_map(forbidden) {
        return Err(NoTarget::Forbidden(address, why));
    }
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, url.port())).collect())
}

#[cfg(test)]
mod tests;
