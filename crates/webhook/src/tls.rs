//! TLS to receivers: certificates are checked against the machine's roots, by the host name of the URL.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// Makes TLS connections.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
}

impl Tls {
    /// With the roots that the machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
    pub(crate) fn with_native_roots() -> Result<Self, Error> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (trusted, unreadable) = roots.add_parsable_certificates(found.certs);
        let errors = found.errors.len() + unreadable;
        match trusted {
            0 => tracing::warn!("no trusted root certificates: https webhooks will fail"),
            _ => tracing::debug!(trusted, errors, "root certificates"),
        }
        Self::with_roots(roots)
    }

    pub(crate) fn with_roots(roots: RootCertStore) -> Result<Self, Error> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Speaks TLS on a connection, with a server that must prove to be `host`.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.connector.connect(name, stream).await
    }
}
