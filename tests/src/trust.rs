//! Trust in one certificate and no other, as in the one that a platform made for itself.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_tungstenite::Connector;

use crate::api;

/// Such trust. A cheap handle.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// In this certificate, in PEM.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn in_certificate(pem: &str) -> Self {
        api::set_up_crypto();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a certificate");
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }

    /// For websockets.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector::Rustls(self.0.clone())
    }

    /// For HTTP.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        self.0.as_ref().clone()
    }
}
