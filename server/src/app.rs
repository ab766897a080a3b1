//! The hub put together: picks the adapters, starts everything in order and stops it in order. The only place that
//! names concrete stores and buses.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use probe_protocol::Close;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, broadcast},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::{Bus, Event, local::LocalBus},
    config::{Config, Environment, ResolveTargets, SecretKey},
    dispatch::Dispatch,
    domain::user,
    http::{self, Http, Shared, events::MOST_STREAMS},
    ingest::{self, Inbox, Ingest},
    launch::Launch,
    listener,
    live::LiveHub,
    names::Names,
    passwords::{PasswordError, Passwords},
    registry::Registry,
    session::Lingering,
    store::{NewUser, Store, StoreError},
    sweep::Sweep,
    throttle::Throttle,
    tokens::Tokens,
};

mod copying;
mod importing;
mod places;
mod stores;

pub use copying::copy;
pub use importing::import;
use stores::Use;

/// The file in the data folder with the key that was made.
const KEY_FILE: &str = "secret_key";

/// The hub could not start, or a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data folder cannot be used.
    #[error("DATA_DIR: cannot use {path}: {cause}")]
    DataDir {
        /// The folder or a file in it.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the database: {0}")]
    Open(String),
    /// The address cannot be listened on.
    #[error("HOST, PORT: cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// What was given to a command is wrong.
    #[error("{0}")]
    Input(String),
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// A running hub.
pub struct App {
    address: SocketAddr,
    stop: CancellationToken,
    abandon: CancellationToken,
    stop_within: Duration,
    store: Arc<dyn Store>,
    registry: Registry,
    sessions: TaskTracker,
    inbox: Inbox,
    ingest: Ingest,
    server: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

impl App {
    /// Starts a hub: store → bus → ingest → background → listener, in this order.
    ///
    /// # Errors
    /// [`AppError`] names the setting that is wrong.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let store = stores::open(&config, Use::Hub).await?;
        let key = secret_key(&config)?;
        let address = SocketAddr::new(config.host, config.port);
        let listen = |cause| AppError::Listen { address, cause };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let (inbox, ingest) = ingest::start(store.clone(), bus.clone(), abandon.clone());
        let shared = share(
            &config,
            &key,
            store.clone(),
            bus.clone(),
            &inbox,
            stop.clone(),
        )?;
        let background = background(&shared, config.result_life);
        let server = listener::serve(
            listener,
            http::router(shared.clone()),
            stop.clone(),
            config.stop_within / 2,
        );
        Ok(Self {
            address,
            stop,
            abandon,
            stop_within: config.stop_within,
            store,
            registry: shared.registry.clone(),
            sessions: shared.sessions.clone(),
            inbox,
            ingest,
            server: tokio::spawn(server),
            background,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: not ready and nothing new; sessions say goodbye and end; ingest commits and answers what it has; then the
    /// store closes. All within `STOP_SECONDS`; what is not acknowledged by then is sent again by its probe.
    /// Answers whether everything ended in time.
    pub async fn stop(self) -> bool {
        let deadline = Instant::now() + self.stop_within;
        self.stop.cancel();
        for session in self.registry.sessions() {
            session.stop(Close::Restart);
        }
        self.sessions.close();
        let mut clean = timeout_at(deadline, self.sessions.wait()).await.is_ok();
        clean &= timeout_at(deadline, self.server).await.is_ok();
        drop(self.inbox);
        let abandon = self.abandon.clone();
        let late = tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            abandon.cancel();
        });
        self.ingest.finish().await;
        clean &= !self.abandon.is_cancelled();
        late.abort();
        for task in self.background {
            task.abort();
        }
        self.store.close().await;
        clean
    }
}

fn share(
    config: &Config,
    key: &SecretKey,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    inbox: &Inbox,
    stop: CancellationToken,
) -> Result<Http, AppError> {
    let registry = Registry::default();
    let dispatch = Dispatch::new(registry.clone());
    let names = match config.resolve_targets {
        ResolveTargets::Hub => Some(Names::new(config.name_server, config.target_policy)),
        ResolveTargets::Probe => None,
    };
    let names = names
        .transpose()
        .map_err(|error| AppError::Input(format!("NAME_SERVER: {error}")))?;
    let stop_grace = TimeDelta::from_std(config.stop_grace)
        .map_err(|error| AppError::Input(format!("STOP_GRACE_SECONDS: {error}")))?;
    Ok(Arc::new(Shared {
        launch: Launch::new(
            store.clone(),
            registry.clone(),
            dispatch.clone(),
            bus.clone(),
            stop_grace,
        ),
        store,
        bus,
        registry,
        dispatch,
        live: LiveHub::default(),
        tokens: Tokens::new(key, config.user_token_life, config.legacy_user_tokens),
        passwords: Passwords::new(),
        throttle: Throttle::new(config.logins_per_minute),
        trusted_proxies: config.trusted_proxies.clone(),
        target_policy: config.target_policy,
        names,
        public_operations: config.public_operations,
        is_expendable: matches!(
            config.environment,
            Environment::Development | Environment::Test
        ),
        instance: uuid::Uuid::new_v4().to_string().into(),
        stop,
        sessions: TaskTracker::new(),
        lingering: Lingering::default(),
        streams: Arc::new(Semaphore::new(MOST_STREAMS)),
        inbox: inbox.downgrade(),
    }))
}

fn background(shared: &Http, result_life: Option<TimeDelta>) -> Vec<JoinHandle<()>> {
    let Shared {
        store,
        bus,
        registry,
        dispatch,
        ..
    } = &**shared;
    let sweep = Sweep {
        store: store.clone(),
        registry: registry.clone(),
        dispatch: dispatch.clone(),
        bus: bus.clone(),
        result_life,
    };
    vec![
        tokio::spawn(sweep.run(shared.stop.clone())),
        tokio::spawn(shared.live.clone().run(bus.clone())),
        tokio::spawn(end_revoked(registry.clone(), bus.subscribe())),
    ]
}

/// Ends the sessions of probes whose token was revoked, whichever instance revoked it.
async fn end_revoked(registry: Registry, mut events: broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Revoked(probe)) => {
                if let Some(session) = registry.get(probe) {
                    session.stop(Close::Revoked);
                }
            }
            Ok(_) => {}
            // A revocation may be among what was lost: whoever is still welcome comes back at once.
            Err(broadcast::error::RecvError::Lagged(_)) => {
                for session in registry.sessions() {
                    session.stop(Close::Restart);
                }
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Registers a superuser in the store of `config`; answers the new user's id.
///
/// # Errors
/// When the address or password is no good, the address is taken or the store cannot be opened.
pub async fn create_superuser(
    config: &Config,
    email: &str,
    password: String,
) -> Result<String, AppError> {
    user::check_email(email).map_err(|detail| AppError::Input(format!("EMAIL {detail}")))?;
    user::check_password(&password)
        .map_err(|detail| AppError::Input(format!("the password {detail}")))?;
    let store = stores::open(config, Use::Beside).await?;
    let hashed = Passwords::new().hash(password).await;
    let password_hash =
        hashed.map_err(|error: PasswordError| AppError::Store(error.to_string()))?;
    let user = NewUser {
        email: email.into(),
        password_hash,
        is_superuser: true,
        created_at: chrono::Utc::now(),
    };
    let created = store.create_user(user).await;
    store.close().await;
    Ok(created?.id.to_string())
}

/// The key that signs tokens: the configured one, else one that is made once and kept beside the database.
fn secret_key(config: &Config) -> Result<SecretKey, AppError> {
    if let Some(key) = &config.secret_key {
        return Ok(key.clone());
    }
    let path = config.data_dir.join(KEY_FILE);
    let failed = |cause| AppError::DataDir {
        path: path.display().to_string(),
        cause,
    };
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(SecretKey(text.trim().into())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    fs::create_dir_all(&config.data_dir).map_err(failed)?;
    let bytes: [u8; 32] = rand::random();
    let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(&path, &key).map_err(failed)?;
    Ok(SecretKey(key))
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}
