//! Accepts connections and speaks HTTP with them until they take a seat.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::gate::TooMany;
use crate::limits::{LimitTooSmall, Limits};
use crate::meetings::Input;
use crate::metrics::Metrics;
use crate::seats::{TURNED_AWAY, Visit, pages};
use crate::shared::Shared;

/// A relay that listens and is ready to serve.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    address: SocketAddr,
    addresses: Addresses,
    routes: Option<Router>,
    shared: Arc<Shared>,
}

/// Whose address the limits by address count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// The connection's own: nothing stands before the relay.
    #[default]
    Peer,
    /// The last of `X-Forwarded-For`, as set by a reverse proxy that all connections come through.
    Forwarded,
}

/// Why a relay cannot listen.
#[derive(Debug, Error)]
pub enum BindFailed {
    /// Another program listens there.
    #[error("{0} is in use by another program")]
    Taken(SocketAddr),
    /// The system does not let this user listen there.
    #[error("this user may not listen on {0}")]
    NotAllowed(SocketAddr),
    /// No interface of this machine has the address.
    #[error("{0} is not an address of this machine")]
    NotHere(SocketAddr),
    /// The system refused for another reason.
    #[error("cannot listen on {address}: {cause}")]
    System {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The limits are unusable.
    #[error(transparent)]
    Limits(#[from] LimitTooSmall),
}

impl Relay {
    /// Listens on `listen`. Requests that are not the relay's own go to `routes`, for example the
    /// files of the phone app; without any, the relay says what it is.
    pub async fn bind(
        listen: SocketAddr,
        limits: Limits,
        routes: Option<Router>,
    ) -> Result<Self, BindFailed> {
        limits.check()?;
        let failed = |cause: io::Error| BindFailed::new(listen, cause);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(limits));
        Ok(Self {
            listener,
            address,
            addresses: Addresses::default(),
            routes,
            shared,
        })
    }

    /// Counts connections by the addresses that a proxy reports.
    pub fn with_addresses(self, addresses: Addresses) -> Self {
        Self { addresses, ..self }
    }

    /// Where it listens, with the port the system chose if 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts.
    pub fn metrics(&self) -> Metrics {
        Metrics::new(Arc::clone(&self.shared))
    }

    /// Serves until `shutdown` completes, then closes every connection with a reason and waits
    /// for them, but not longer than [`Limits::shutdown_within`].
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self {
            listener,
            addresses,
            routes,
            shared,
            ..
        } = self;
        let stop = CancellationToken::new();
        let door = Door {
            places: Arc::new(Semaphore::new(count(shared.limits.connections))),
            excuses: Arc::new(Semaphore::new(MOST_EXCUSES)),
            router: pages(Arc::clone(&shared), addresses, routes),
            shared: Arc::clone(&shared),
            addresses,
            stop: stop.clone(),
        };
        tokio::select! {
            () = shutdown => {}
            never = door.open(listener) => match never {},
        }
        info!("stopping");
        shared.handle(Input::Stop);
        stop.cancel();
        shared.tasks.close();
        let within = shared.limits.shutdown_within;
        if tokio::time::timeout(within, shared.tasks.wait())
            .await
            .is_err()
        {
            warn!(
                connections = shared.tasks.len(),
                "stopped before all connections had closed"
            );
        }
    }
}

impl BindFailed {
    /// Sorts what the system said by what a person can do about it.
    pub fn new(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(address),
            io::ErrorKind::PermissionDenied => Self::NotAllowed(address),
            io::ErrorKind::AddrNotAvailable => Self::NotHere(address),
            _ => Self::System { address, cause },
        }
    }
}

/// Where connections come in.
struct Door {
    places: Arc<Semaphore>,
    excuses: Arc<Semaphore>,
    router: Router,
    shared: Arc<Shared>,
    addresses: Addresses,
    stop: CancellationToken,
}

impl Door {
    async fn open(&self, listener: TcpListener) -> std::convert::Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => self.receive(stream, from),
                Err(error) => {
                    warn!(%error, "accept failed, trying again");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    fn receive(&self, stream: TcpStream, from: SocketAddr) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            debug!("no place for another connection");
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let admission = match self.addresses {
            Addresses::Forwarded => None,
            Addresses::Peer => match self.shared.admit(from.ip()) {
                Ok(admission) => Some(admission),
                Err(TooMany) => return self.turn_away(stream),
            },
        };
        let visit = Arc::new(Visit { admission, place });
        let within = self.shared.limits.request_within;
        let talk = talk(
            stream,
            self.router.clone(),
            visit,
            within,
            self.stop.clone(),
        );
        self.shared.tasks.spawn(talk);
    }

    /// Says why, to as many at a time as costs nothing worth attacking.
    fn turn_away(&self, mut stream: TcpStream) {
        let Ok(excuse) = Arc::clone(&self.excuses).try_acquire_owned() else {
            return;
        };
        self.shared.tasks.spawn(async move {
            let _held = excuse;
            let excusing = async {
                // Unread bytes would make the system reset the connection before the answer.
                let mut request = vec![0; REQUEST_SIZE];
                if stream.read(&mut request).await? > 0 {
                    stream.write_all(TURNED_AWAY).await?;
                    stream.shutdown().await?;
                    while stream.read(&mut request).await? > 0 {}
                }
                io::Result::Ok(())
            };
            if !matches!(
                tokio::time::timeout(EXCUSE_WITHIN, excusing).await,
                Ok(Ok(()))
            ) {
                debug!("turned away a connection that did not listen");
            }
        });
    }
}

/// Answers the requests of one connection, until it becomes a WebSocket or ends.
async fn talk(
    stream: TcpStream,
    router: Router,
    visit: Arc<Visit>,
    request_within: Duration,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot send small messages at once");
    }
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&visit));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(request_within)
        .max_buf_size(REQUEST_SIZE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended before it took a seat");
    }
}

fn count(limit: u32) -> usize {
    usize::try_from(limit)
        .unwrap_or(Semaphore::MAX_PERMITS)
        .min(Semaphore::MAX_PERMITS)
}

/// Long enough for descriptors to come back after they ran out.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// A request for a seat takes a few hundred bytes; browsers add some.
const REQUEST_SIZE: usize = 16 * 1024;
const MOST_EXCUSES: usize = 64;
const EXCUSE_WITHIN: Duration = Duration::from_secs(1);
