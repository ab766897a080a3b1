//! TLS of the hub's own: a certificate and its key from two files, read again when they change, so that a renewed one
//! needs no restart. Connections that are open keep the certificate that they began with.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at: they change every few weeks, and nobody waits for it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longest a client may take to shake hands: as long as for a request's head.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(15);
/// The only protocol that is spoken behind TLS.
const ALPN: &[u8] = b"http/1.1";

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The certificate's file.
    #[error("TLS_CERT: cannot use {}: {cause}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The key's file.
    #[error("TLS_KEY: cannot use {}: {cause}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Each is good, but not together.
    #[error("TLS_CERT, TLS_KEY: do not go together: {0}")]
    Pair(String),
}

/// Where certificate and key are, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The certificate, then those that lead to its authority.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Shakes hands with the newest certificate. A cheap handle.
#[derive(Clone)]
pub(crate) struct Tls(Arc<Shared>);

struct Shared {
    files: Files,
    current: Mutex<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files; besides, what keeps an eye on them until `stop`.
    ///
    /// # Errors
    /// [`TlsError`] names the setting that is wrong.
    pub(crate) async fn load(
        files: Files,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), TlsError> {
        let contents = files.read().await?;
        let config = files.config(&contents)?;
        let tls = Self(Arc::new(Shared {
            files,
            current: Mutex::new(config),
        }));
        let watch = tls.clone().watch(contents);
        let watch = async move {
            stop.run_until_cancelled(watch).await;
        };
        Ok((tls, watch))
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// When the client does not, or takes too long.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let acceptor = TlsAcceptor::from(self.current().clone());
        timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await?
    }

    /// Looks at the files again and again. What cannot be used is told once and changes nothing; it may be half of a
    /// change.
    async fn watch(self, mut seen: Contents) {
        let mut unreadable = false;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let contents = match self.0.files.read().await {
                Ok(contents) => contents,
                Err(error) => {
                    if !unreadable {
                        tracing::warn!(%error, "the certificate stays the one that was read before");
                    }
                    unreadable = true;
                    continue;
                }
            };
            unreadable = false;
            if contents == seen {
                continue;
            }
            match self.0.files.config(&contents) {
                Ok(config) => {
                    *self.current() = config;
                    tracing::info!("the certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(%error, "the certificate stays the one that was read before");
                }
            }
            seen = contents;
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Arc<ServerConfig>> {
        // Nothing panics while it holds the lock.
        self.0
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    async fn read(&self) -> Result<Contents, TlsError> {
        let certificate = tokio::fs::read(&self.certificate).await;
        let certificate = certificate.map_err(|cause| self.bad_certificate(cause))?;
        let key = tokio::fs::read(&self.key).await;
        let key = key.map_err(|cause| self.bad_key(cause))?;
        Ok(Contents { certificate, key })
    }

    fn config(&self, contents: &Contents) -> Result<Arc<ServerConfig>, TlsError> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&contents.certificate).collect();
        let chain = chain.map_err(|cause| self.bad_certificate(cause))?;
        if chain.is_empty() {
            return Err(self.bad_certificate("there is no certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_slice(&contents.key);
        let key = key.map_err(|cause| self.bad_key(cause))?;
        let pair = |cause: rustls::Error| TlsError::Pair(cause.to_string());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(pair)?
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config = config.map_err(pair)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }

    fn bad_certificate(&self, cause: impl ToString) -> TlsError {
        TlsError::Certificate {
            path: self.certificate.clone(),
            cause: cause.to_string(),
        }
    }

    fn bad_key(&self, cause: impl ToString) -> TlsError {
        TlsError::Key {
            path: self.key.clone(),
            cause: cause.to_string(),
        }
    }
}
