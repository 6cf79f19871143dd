//! The daemon: brings the parts up in order, keeps the doors open, takes them down again.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use vmux_broker::{Broker, ClientId, Reach};
use vmux_harden::{Protection, in_words};
use vmux_host::clock;
use vmux_host::log::{self, AuditLog, LogRefused};
use vmux_host::state_dir::StateRefused;
use vmux_proto::message::{Hello, VERSION};
use vmux_relay::{BindFailed, Limits as RelayLimits, Relay};

use crate::client::{Client, Desk, Notices};
use crate::config::Config;
use crate::control::{Reply, Report, Request, Wanted, Wire, WireBroken};
use crate::events::{Told, describe};
use crate::hosts::Hosts;
use crate::hub::{Hub, NotDone, Seen};
use crate::pairing;
use crate::provenance::Peer;
use crate::reserved::Reserved;
use crate::socket::{AgentSocket, IfMissing, SocketRefused};

/// Where the daemon keeps and serves things.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The state directory.
    pub(crate) state_dir: PathBuf,
    /// The agent socket, and what to do if its directory is missing.
    pub(crate) socket: (PathBuf, IfMissing),
    /// The user's home directory.
    pub(crate) home: PathBuf,
}

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartFailed {
    #[error(transparent)]
    State(#[from] StateRefused),
    #[error(transparent)]
    Socket(#[from] SocketRefused),
    #[error("{0}")]
    Relay(#[from] BindFailed),
    #[error("the log is not opened: {0}")]
    Log(#[from] LogRefused),
    #[error("no thread can be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl StartFailed {
    /// What the person can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::State(refused) => refused.hint(),
            Self::Socket(refused) => refused.hint(),
            Self::Log(refused) => refused.hint(),
            Self::Thread(_) => "look for what uses up the system's threads".to_owned(),
            Self::Relay(_) => {
                "choose another address with --relay-listen, or use a relay elsewhere: \
                 [relay] url in the configuration"
                    .to_owned()
            }
        }
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    hub: Hub,
    relay: String,
    socket: PathBuf,
    control: PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
    relay_task: Option<tokio::task::JoinHandle<()>>,
    relay_stop: CancellationToken,
}

/// Where the agent's own relay listens by default.
pub(crate) const OWN_RELAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7420);

/// Connections to the control socket at a time.
const MAX_CONTROLS: usize = 64;

/// How long a control connection may take to say what it wants.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// How long an accept that failed is not tried again.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How long connections have to end when the daemon stops.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

impl Daemon {
    /// Brings everything up; nothing is left behind if a part fails.
    pub(crate) async fn start(
        reserved: Reserved,
        setting: &Setting,
        config: &Config,
    ) -> Result<Self, StartFailed> {
        raise_file_limit();
        let Reserved {
            state,
            phones,
            agent,
            control,
            looks,
            protections,
        } = reserved;
        let (log, head) = AuditLog::open(&state, log::Limits::default())?;
        let agent_socket = agent.listen().await?;
        let control_socket = control.listen().await?;
        let control = control_socket.path().to_owned();
        let relay_stop = CancellationToken::new();
        let (relay, relay_task) = if let Some(url) = &config.relay.url {
            (url.clone(), None)
        } else {
            let (relay, task) = own_relay(config, relay_stop.clone()).await?;
            (relay, Some(task))
        };
        let hello = hello(config);
        let hub = Hub::start(
            Broker::new(hello.clone(), config.limits(), phones, head),
            state,
            log,
        )?;
        let desk = Desk {
            hub: hub.clone(),
            hosts: Arc::new(Hosts::of(&setting.home)),
            inspector: looks.inspector(),
            notices: if config.terminal_notices {
                Notices::On
            } else {
                Notices::Off
            },
        };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let socket = agent_socket.path().to_owned();
        let counter = Counter::new(config.max_clients);
        let door = serve_clients(agent_socket, desk, counter, tasks.clone(), stop.clone());
        tasks.spawn(until(stop.clone(), door));
        let office = Office {
            hub: hub.clone(),
            hello,
            relay: relay.clone(),
            socket: socket.clone(),
            protections,
        };
        let (on, off) = in_words(&office.protections);
        info!(on, off, "protected");
        let door = serve_controls(
            control_socket,
            Arc::new(office),
            tasks.clone(),
            stop.clone(),
        );
        tasks.spawn(until(stop.clone(), door));
        info!(socket = %socket.display(), relay, "ready");
        Ok(Self {
            hub,
            relay,
            socket,
            control,
            stop,
            tasks,
            relay_task,
            relay_stop,
        })
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn control(&self) -> &Path {
        &self.control
    }

    pub(crate) fn relay(&self) -> &str {
        &self.relay
    }

    /// Closes the doors, ends what waits, tells the phones.
    pub(crate) async fn stop(self) {
        info!("stopping");
        self.stop.cancel();
        self.hub.stop().await;
        self.tasks.close();
        if tokio::time::timeout(CLOSE_WITHIN, self.tasks.wait())
            .await
            .is_err()
        {
            debug!(open = self.tasks.len(), "some connections were cut");
        }
        self.relay_stop.cancel();
        if let Some(task) = self.relay_task
            && tokio::time::timeout(CLOSE_WITHIN, task).await.is_err()
        {
            warn!("the relay did not end in time");
        }
    }
}

fn hello(config: &Config) -> Hello {
    Hello {
        version: VERSION,
        name: config.name(),
        kind: "agent".to_owned(),
        software: crate::SOFTWARE.to_owned(),
        commitment: None,
    }
}

/// For one person's phones. What strangers may use up stays far below what the agent itself needs.
fn own_limits() -> RelayLimits {
    RelayLimits {
        connections: 256,
        connections_per_address: 256,
        mailboxes: 256,
        ..RelayLimits::default()
    }
}

async fn own_relay(
    config: &Config,
    stop: CancellationToken,
) -> Result<(String, tokio::task::JoinHandle<()>), BindFailed> {
    let listen = config.relay.listen.unwrap_or(OWN_RELAY);
    let relay = Relay::bind(listen, own_limits(), None).await?;
    let origin = format!("http://{}", relay.address());
    let task = tokio::spawn(relay.serve(async move { stop.cancelled().await }));
    Ok((origin, task))
}

/// Runs a door that never ends until the daemon stops.
async fn until(stop: CancellationToken, door: impl Future<Output = std::convert::Infallible>) {
    tokio::select! {
        () = stop.cancelled() => {}
        never = door => match never {},
    }
}

/// Counts clients; a connection over the limit is closed at once.
struct Counter {
    places: Arc<Semaphore>,
    limit: usize,
    next: u64,
}

impl Counter {
    fn new(limit: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limit)),
            limit,
            next: 0,
        }
    }
}

async fn serve_clients(
    socket: AgentSocket,
    desk: Desk,
    mut counter: Counter,
    tasks: TaskTracker,
    stop: CancellationToken,
) -> std::convert::Infallible {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(&counter.places).try_acquire_owned() else {
                    warn!(
                        pid = peer.pid(),
                        limit = counter.limit,
                        "too many clients (max-clients)"
                    );
                    continue;
                };
                counter.next = counter.next.saturating_add(1);
                let client = Client::new(desk.clone(), ClientId(counter.next), peer, stream);
                let stop = stop.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        () = client.serve() => {}
                        () = stop.cancelled() => {}
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "accept failed, trying again");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

/// What every control connection needs.
struct Office {
    hub: Hub,
    hello: Hello,
    relay: String,
    socket: PathBuf,
    protections: Vec<Protection>,
}

async fn serve_controls(
    socket: AgentSocket,
    office: Arc<Office>,
    tasks: TaskTracker,
    stop: CancellationToken,
) -> std::convert::Infallible {
    let places = Arc::new(Semaphore::new(MAX_CONTROLS));
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    warn!(pid = Peer::pid(&peer), "too many control connections");
                    continue;
                };
                let office = Arc::clone(&office);
                let stop = stop.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        served = office.serve(Wire::new(stream)) => {
                            if let Err(broken) = served {
                                debug!(%broken, "control connection ended");
                            }
                        }
                        () = stop.cancelled() => {}
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "accept failed, trying again");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

impl Office {
    async fn serve(&self, mut wire: Wire) -> Result<(), WireBroken> {
        let request = tokio::time::timeout(REQUEST_WITHIN, wire.receive()).await;
        match request.unwrap_or(Err(WireBroken::Ended))? {
            Request::Status => {
                let reply = match self.hub.status().await {
                    Ok(seen) => Reply::Status(Report {
                        protections: self.protections.clone(),
                        ..Report::new(&seen, &self.socket, &self.relay, clock::now().uptime)
                    }),
                    Err(stopping) => failed(stopping, "start it again"),
                };
                wire.send(&reply).await
            }
            Request::Watch => self.watch(&mut wire).await,
            Request::Pair => {
                pairing::offer(&self.hub, &self.relay, self.hello.clone(), &mut wire).await
            }
            Request::Answer { .. } => {
                wire.send(&failed(
                    "no pairing is under way here",
                    "run `vmux-agent pair`",
                ))
                .await
            }
            Request::Unpair { phone } => {
                let reply = self.unpair(&phone).await;
                wire.send(&reply).await
            }
            Request::Cancel { request } => {
                let reply = self.cancel(&request).await;
                wire.send(&reply).await
            }
            Request::Trace { request } => {
                let reply = match self.hub.traces(request).await {
                    Ok(traces) => Reply::Traces { traces },
                    Err(stopping) => failed(stopping, "start it again"),
                };
                wire.send(&reply).await
            }
            Request::Metrics => {
                let reply = match self.hub.metrics().await {
                    Ok(text) => Reply::Metrics { text },
                    Err(stopping) => failed(stopping, "start it again"),
                };
                wire.send(&reply).await
            }
            Request::Resume => {
                let reply = self.resume().await;
                wire.send(&reply).await
            }
        }
    }

    async fn watch(&self, wire: &mut Wire) -> Result<(), WireBroken> {
        let mut events = self.hub.watch();
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => wire.send(&Reply::Told { told: Told::of(&event) }).await?,
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(missed)) => {
                        let text = format!("{missed} events were missed");
                        wire.send(&failed(text, "read faster")).await?;
                    }
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ok(()),
                },
                // A watcher has nothing more to say; this notices when it is gone.
                said = wire.receive::<Request>() => return said.map(|_| ()),
            }
        }
    }

    /// Takes back the one request whose id begins so.
    async fn cancel(&self, request: &str) -> Reply {
        let Ok(Seen { status, .. }) = self.hub.status().await else {
            return failed(NotDone::Stopping, "start it again");
        };
        let named: Vec<_> = status
            .waiting
            .iter()
            .filter(|one| !request.is_empty() && one.id.to_string().starts_with(request))
            .collect();
        let one = match named.as_slice() {
            [one] => one,
            [] => {
                let reason = "no request with this id waits";
                return failed(reason, "see `vmux-agent requests`");
            }
            _ => {
                let reason = "several ids begin like this";
                return failed(reason, "give more of the id");
            }
        };
        match self.hub.cancel(one.id).await {
            Ok(()) => Reply::Cancelled {
                request: one.id.to_string(),
                what: describe(one),
            },
            Err(stopping) => failed(stopping, "start it again"),
        }
    }

    async fn resume(&self) -> Reply {
        let Ok(Seen { status, .. }) = self.hub.status().await else {
            return failed(NotDone::Stopping, "start it again");
        };
        let suspended = status.phones.iter().filter(|phone| phone.suspended);
        let names = suspended.map(|phone| phone.name.to_string()).collect();
        match self.hub.resume().await {
            Ok(()) => Reply::Resumed {
                phones: names,
                passphrase: if status.locked {
                    Wanted::Yes
                } else {
                    Wanted::No
                },
            },
            Err(stopping) => failed(stopping, "start it again"),
        }
    }

    async fn unpair(&self, phone: &str) -> Reply {
        let Ok(Seen { status, .. }) = self.hub.status().await else {
            return failed(NotDone::Stopping, "start it again");
        };
        let named: Vec<_> = status
            .phones
            .iter()
            .filter(|one| one.id.to_string() == phone || one.name.to_string() == phone)
            .collect();
        let one = match named.as_slice() {
            [one] => one,
            [] => return failed(NotDone::NoSuchPhone, "see `vmux-agent phones`"),
            _ => {
                let reason = "several phones have this name";
                return failed(reason, "use the id that `vmux-agent phones` shows");
            }
        };
        match self.hub.unpair(one.id).await {
            Ok(()) => Reply::Done {
                phone: one.id.to_string(),
                name: one.name.to_string(),
                note: (one.reach != Reach::Connected).then(|| NOT_TOLD.to_owned()),
            },
            Err(not_done) => failed(not_done, "see the agent's log"),
        }
    }
}

/// What is still open when a phone that is away is unpaired.
const NOT_TOLD: &str = "it is away and was not told: end the pairing there, too, \
                        with `vmux-signer unpair`";

fn failed(reason: impl std::fmt::Display, hint: &str) -> Reply {
    Reply::failed(reason, hint)
}

/// A client needs a file each; the system's default of 1,024 is soon used up.
fn raise_file_limit() {
    const WANTED: u64 = 16_384;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(WANTED);
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            warn!(%error, "the limit of open files stays as it is");
        }
    }
}
