//! The hub put together: picks the adapters, starts everything in order and stops it in order. The only place that
//! names concrete stores and buses.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use chrono::TimeDelta;
use probe_protocol::Close;
use tokio::{
    sync::{Semaphore, broadcast, mpsc},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::{Bus, Errand, Event, InstanceId},
    config::{Config, Environment, ResolveTargets, SecretKey},
    dispatch::Dispatch,
    domain::user,
    http::{self, Http, Shared, connect::MOST_SETTLING, events::MOST_STREAMS},
    ingest::{self, Inbox, Ingest},
    launch::Launch,
    listener,
    live::LiveHub,
    metrics,
    names::Names,
    passwords::{PasswordError, Passwords},
    pulse::Pulse,
    registry::{Registry, SessionHandle},
    roster::{
        Roster,
        gossip::{self, Talk},
    },
    session::Lingering,
    store::{NewUser, Store, StoreError},
    sweep::{Sweep, seats::Seats},
    tokens::Tokens,
};

mod backing_up;
mod copying;
mod diagnosing;
mod edge;
mod importing;
mod migrating;
mod places;
mod platform;
mod resetting;
mod secret;
mod seeding;
mod stores;
mod watched;

pub use backing_up::{back_up, restore};
pub use copying::{clone_masked, copy};
pub use diagnosing::diagnose;
pub use importing::import;
pub use migrating::{Migration, migrate, plan_migration};
use platform::Platform;
pub use resetting::{database_name, demand_expendable, reset};
pub use seeding::{Seeded, SeededFleet, seed, seed_fleet};
use stores::Use;
use watched::Watched;

/// Longest a stop waits for the sweep, which may be in the middle of something: two transactions that go well, and more.
const SWEEP_ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Longest a store may take to close after everything that uses it has ended or was given up.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// Longest a hub that starts waits for others to tell who is connected there.
const OTHERS_TELL_WITHIN: Duration = Duration::from_secs(3);

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
    #[error("{setting}: cannot listen on {address}: {cause}")]
    Listen {
        /// What says so.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// Redis cannot be used.
    #[error("REDIS_URL: {0}")]
    Redis(String),
    /// Metrics cannot be recorded.
    #[error("{0}")]
    Metrics(String),
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
    /// Told when the last session has ended.
    empty: CancellationToken,
    talk: JoinHandle<()>,
    bus: Arc<dyn Bus>,
    drain: Duration,
    stop_within: Duration,
    store: Arc<dyn Store>,
    registry: Registry,
    sessions: TaskTracker,
    inbox: Inbox,
    ingest: Ingest,
    server: JoinHandle<()>,
    sweep: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
    watched: Watched,
}

impl App {
    /// Starts a hub: store → bus → ingest → background → listener, in this order. Others are asked who is connected there
    /// before anybody is let in.
    ///
    /// # Errors
    /// [`AppError`] names the setting that is wrong.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        metrics::install().map_err(|error| AppError::Metrics(error.to_string()))?;
        let store = stores::open(&config, Use::Hub).await?;
        let key = secret::key(&config)?;
        let address = SocketAddr::new(config.host, config.port);
        let (listener, address) = watched::bind("HOST, PORT", address).await?;
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let (door, renewal) = edge::door(&config, stop.clone()).await?;
        let me = InstanceId::new();
        let platform = platform::join(&config, &*store, me).await?;
        let bus = platform.bus.clone();
        let (inbox, ingest) = ingest::start(store.clone(), bus.clone(), abandon.clone());
        let shared = share(
            &config,
            &key,
            store.clone(),
            &platform,
            &inbox,
            stop.clone(),
        )?;
        let empty = CancellationToken::new();
        let talk = Talk::new(shared.roster.clone(), bus.clone(), me);
        let talk = tokio::spawn(talk.run(platform.arrivals.gossip, empty.clone()));
        if config.redis.is_some() {
            gossip::complete(&shared.roster, OTHERS_TELL_WITHIN).await;
        }
        let (sweep, mut background) = background(&shared, &config, platform.arrivals.errands);
        background.extend(renewal);
        let watched = Watched::start(config.metrics_address, &shared).await?;
        let server = listener::serve(
            listener,
            door,
            http::router(shared.clone()),
            stop.clone(),
            config.stop_within / 2,
        );
        Ok(Self {
            address,
            stop,
            abandon,
            empty,
            talk,
            bus,
            drain: config.redis.map_or(Duration::ZERO, |_| config.drain),
            stop_within: config.stop_within,
            store,
            registry: shared.roster.registry().clone(),
            sessions: shared.sessions.clone(),
            inbox,
            ingest,
            server: tokio::spawn(server),
            sweep,
            background,
            watched,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: not ready and nothing new; sessions say goodbye and end, one after the other where there are other hubs for
    /// them to go to; ingest commits and answers what it has; then the store closes. All within `STOP_SECONDS` after the
    /// drain; what is not acknowledged by then is sent again by its probe. Answers whether everything ended in time.
    pub async fn stop(self) -> bool {
        self.stop.cancel();
        drain(self.registry.sessions(), self.drain).await;
        let deadline = Instant::now() + self.stop_within;
        // Those that joined while the hub began to stop.
        drain(self.registry.sessions(), Duration::ZERO).await;
        self.sessions.close();
        let mut clean = timeout_at(deadline, self.sessions.wait()).await.is_ok();
        self.empty.cancel();
        clean &= timeout_at(deadline, self.talk).await.is_ok();
        clean &= timeout_at(deadline, self.server).await.is_ok();
        drop(self.inbox);
        clean &= timeout_at(deadline, self.ingest.finish()).await.is_ok();
        self.abandon.cancel();
        // It gives its leases up; where it cannot, others wait until their time is over.
        let sweep_until = deadline.min(Instant::now() + SWEEP_ENDS_WITHIN);
        let sweep_ends = self.sweep.abort_handle();
        if timeout_at(sweep_until, self.sweep).await.is_err() {
            sweep_ends.abort();
        }
        for task in self.background {
            task.abort();
        }
        // A store that does not answer has been given up by now; what it was given is not acknowledged.
        clean &= timeout(CLOSED_WITHIN, self.store.close()).await.is_ok();
        self.bus.flush().await;
        self.watched.end().await;
        clean
    }
}

/// Sends sessions away, evenly over some time.
async fn drain(sessions: Vec<SessionHandle>, over: Duration) {
    let begun = Instant::now();
    let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
    for (place, session) in (0..).zip(sessions) {
        if !over.is_zero() {
            sleep_until(begun + over / count * place).await;
        }
        session.stop(Close::Restart);
    }
}

fn share(
    config: &Config,
    key: &SecretKey,
    store: Arc<dyn Store>,
    platform: &Platform,
    inbox: &Inbox,
    stop: CancellationToken,
) -> Result<Http, AppError> {
    let bus = platform.bus.clone();
    let roster = Roster::new(Registry::default());
    let dispatch = Dispatch::new(roster.clone(), bus.clone());
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
            roster.clone(),
            dispatch.clone(),
            bus.clone(),
            stop_grace,
        ),
        store,
        live: LiveHub::new(bus.clone(), config.sweep_within),
        bus,
        roster,
        dispatch,
        tokens: Tokens::new(key, config.user_token_life, config.legacy_user_tokens),
        passwords: Passwords::new(),
        throttle: edge::throttle(config, key, platform),
        trusted_proxies: config.trusted_proxies.clone(),
        origins: edge::origins(config),
        by_tls: config.edge.tls.is_some(),
        target_policy: config.target_policy,
        names,
        public_operations: config.public_operations,
        is_expendable: matches!(
            config.environment,
            Environment::Development | Environment::Test
        ),
        metrics_elsewhere: config.metrics_address.is_some(),
        instance: platform.me,
        stop,
        sessions: TaskTracker::new(),
        settling: Arc::new(Semaphore::new(MOST_SETTLING)),
        lingering: Lingering::default(),
        streams: Arc::new(Semaphore::new(MOST_STREAMS)),
        inbox: inbox.downgrade(),
    }))
}

/// The sweep, and what ends with the hub.
fn background(
    shared: &Http,
    config: &Config,
    errands: mpsc::Receiver<Errand>,
) -> (JoinHandle<()>, Vec<JoinHandle<()>>) {
    let Shared {
        store,
        bus,
        roster,
        dispatch,
        ..
    } = &**shared;
    let registry = roster.registry();
    let sweep = Sweep {
        store: store.clone(),
        holder: shared.instance.to_string().into(),
        bus: bus.clone(),
        result_life: config.result_life,
    };
    let seats = Seats {
        store: store.clone(),
        registry: registry.clone(),
        dispatch: dispatch.clone(),
        within: config.sweep_within,
    };
    let pulse = Pulse {
        store: store.clone(),
        roster: roster.clone(),
        is_shared: config.redis.is_some(),
    };
    let schedule = diagnosing::schedule(shared, config);
    let sweep = tokio::spawn(sweep.run(shared.stop.clone()));
    let others = vec![
        tokio::spawn(seats.run(shared.stop.clone())),
        tokio::spawn(dispatch.clone().run(store.clone(), errands)),
        tokio::spawn(shared.live.clone().run(store.clone())),
        tokio::spawn(end_revoked(registry.clone(), bus.subscribe())),
        tokio::spawn(pulse.run(shared.stop.clone())),
        tokio::spawn(schedule.run(shared.stop.clone())),
        tokio::spawn(metrics::upkeep()),
    ];
    (sweep, others)
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
            // A revocation among what was lost is found by the sweep.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
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

#[cfg(test)]
mod tests;
