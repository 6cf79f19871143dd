//! The one task that owns the broker. Everything else sends it inputs and performs its outputs.
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::{error, warn};
use vmux_broker::{
    Answer, Asked, Broker, ClientId, Entropy, Event, Input, LinkId, Output, PhoneRecord, Shown,
    Status, Unasked, stretch,
};
use vmux_host::log::{self, AuditLog};
use vmux_host::state_dir::{FileKind, StateDir};
use vmux_host::{clock, crypto, entropy};
use vmux_proto::audit::{self, Entry, Head};
use vmux_proto::message::RequestId;

use crate::events;
use crate::links::{LinkEvent, Links};
use crate::recorder::{Full, Recorder, Report, Unwritten};
use crate::trace::{Times, Traced, Traces};

/// Speaks to the hub.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    orders: mpsc::Sender<Order>,
    events: broadcast::Sender<Arc<Event>>,
    listed: watch::Receiver<Listed>,
}

/// The identities as clients are shown them: key blob and comment.
pub(crate) type Listed = Arc<Vec<(Vec<u8>, Vec<u8>)>>;

/// The agent has stopped.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the agent is stopping")]
pub(crate) struct Stopping;

/// Why a phone was not paired or unpaired.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum NotDone {
    /// The state could not be stored.
    #[error("the pairing could not be stored")]
    NotStored,
    /// No phone has this id.
    #[error("no paired phone has this name")]
    NoSuchPhone,
    /// The agent stops.
    #[error("the agent is stopping")]
    Stopping,
}

/// What a client waits for.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// Gets the one answer.
    pub(crate) answer: oneshot::Sender<Answer>,
    /// Gets news of a sign request, for the client's terminal; those that do not fit are dropped.
    pub(crate) news: mpsc::Sender<Arc<Event>>,
    /// What happened to the request before it came here.
    pub(crate) times: Times,
}

/// The agent at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) status: Status,
    /// Why the log cannot be written, if it cannot.
    pub(crate) unwritten: Option<Unwritten>,
}

enum Order {
    Ask(Box<(Asked, Waiter)>),
    Gone(ClientId),
    Refused(Box<Unasked>),
    Stretched(ClientId, vmux_broker::Job, Option<vmux_broker::Stretched>),
    Link(LinkId, LinkEvent),
    Pair(Box<PhoneRecord>, oneshot::Sender<Result<(), NotDone>>),
    Unpair(LinkId, oneshot::Sender<Result<(), NotDone>>),
    Status(oneshot::Sender<Seen>),
    Written(Report),
    Proof(LinkId, Vec<audit::Growth>),
    Cancel(RequestId),
    Returned(ClientId),
    Trace(String, oneshot::Sender<Vec<Traced>>),
    Metrics(oneshot::Sender<String>),
    Resume,
    Stop(oneshot::Sender<()>),
}

/// Orders that wait for the hub; senders wait when it is full.
const MAX_ORDERS: usize = 1024;

/// How long the last lines of the log may take when the agent stops.
const STORE_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// Events a slow watcher may lag behind before it misses some.
const MAX_EVENTS: usize = 256;

/// The file of the paired phones.
pub(crate) const PHONES: &str = "phones";

/// What the file of the paired phones is.
pub(crate) const PHONES_KIND: FileKind = FileKind {
    word: "phones",
    version: 1,
    if_lost: "all phones must be paired again",
};

impl Hub {
    /// Starts the hub.
    pub(crate) fn start(broker: Broker, state: StateDir, log: AuditLog) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::channel(MAX_ORDERS);
        let (events, _) = broadcast::channel(MAX_EVENTS);
        let (publish, listed) = watch::channel(Arc::new(broker.listed()));
        let hub = Self {
            orders,
            events,
            listed,
        };
        let links = Links::new(hub.clone());
        let reports = hub.orders.clone();
        let recorder = Recorder::start(log, move |report| {
            if reports.blocking_send(Order::Written(report)).is_err() {
                warn!("the agent stopped while the log was written");
            }
        })?;
        let keeper = Keeper {
            broker,
            state,
            links,
            hub: hub.clone(),
            listed: publish,
            waiters: BTreeMap::new(),
            recorder,
            unwritten: None,
            traces: Traces::new(),
            store_failed: false,
        };
        drop(tokio::spawn(keeper.run(inbox)));
        Ok(hub)
    }

    /// The identities at this moment. Nobody waits for the broker to list them (I19).
    pub(crate) fn listed(&self) -> Listed {
        Arc::clone(&self.listed.borrow())
    }

    /// Everything the person may want to see, as it happens.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    pub(crate) async fn ask(&self, asked: Asked, waiter: Waiter) -> Result<(), Stopping> {
        self.send(Order::Ask(Box::new((asked, waiter)))).await
    }

    pub(crate) async fn gone(&self, client: ClientId) -> Result<(), Stopping> {
        self.send(Order::Gone(client)).await
    }

    pub(crate) async fn refused(&self, unasked: Box<Unasked>) -> Result<(), Stopping> {
        self.send(Order::Refused(unasked)).await
    }

    pub(crate) async fn link(&self, link: LinkId, event: LinkEvent) -> Result<(), Stopping> {
        self.send(Order::Link(link, event)).await
    }

    pub(crate) async fn pair(&self, record: Box<PhoneRecord>) -> Result<(), NotDone> {
        let (done, result) = oneshot::channel();
        self.send(Order::Pair(record, done))
            .await
            .map_err(|_| NotDone::Stopping)?;
        result.await.unwrap_or(Err(NotDone::Stopping))
    }

    pub(crate) async fn unpair(&self, link: LinkId) -> Result<(), NotDone> {
        let (done, result) = oneshot::channel();
        self.send(Order::Unpair(link, done))
            .await
            .map_err(|_| NotDone::Stopping)?;
        result.await.unwrap_or(Err(NotDone::Stopping))
    }

    /// Takes a request back.
    pub(crate) async fn cancel(&self, request: RequestId) -> Result<(), Stopping> {
        self.send(Order::Cancel(request)).await
    }

    /// A client has its answer.
    pub(crate) async fn returned(&self, client: ClientId) -> Result<(), Stopping> {
        self.send(Order::Returned(client)).await
    }

    /// The last requests whose ids begin so.
    pub(crate) async fn traces(&self, id: String) -> Result<Vec<Traced>, Stopping> {
        let (reply, traces) = oneshot::channel();
        self.send(Order::Trace(id, reply)).await?;
        traces.await.map_err(|_| Stopping)
    }

    /// Numbers for Prometheus.
    pub(crate) async fn metrics(&self) -> Result<String, Stopping> {
        let (reply, text) = oneshot::channel();
        self.send(Order::Metrics(reply)).await?;
        text.await.map_err(|_| Stopping)
    }

    /// Goes on after a phone disowned a request.
    pub(crate) async fn resume(&self) -> Result<(), Stopping> {
        self.send(Order::Resume).await
    }

    pub(crate) async fn status(&self) -> Result<Seen, Stopping> {
        let (reply, status) = oneshot::channel();
        self.send(Order::Status(reply)).await?;
        status.await.map_err(|_| Stopping)
    }

    /// Ends what waits, tells the phones, and lets go of the links.
    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.send(Order::Stop(done)).await.is_ok() {
            drop(stopped.await);
        }
    }

    async fn send(&self, order: Order) -> Result<(), Stopping> {
        self.orders.send(order).await.map_err(|_| Stopping)
    }
}

/// Owns the broker.
struct Keeper {
    broker: Broker,
    state: StateDir,
    links: Links,
    hub: Hub,
    listed: watch::Sender<Listed>,
    waiters: BTreeMap<ClientId, Waiter>,
    recorder: Recorder,
    /// Why the last line of the log could not be written.
    unwritten: Option<Unwritten>,
    traces: Traces,
    /// Whether the last attempt to store the phones failed.
    store_failed: bool,
}

impl Keeper {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let records: Vec<_> = self.broker.phones().map(PhoneRecord::id).collect();
        for link in records {
            self.connect(link);
        }
        self.note(audit::Event::Started);
        loop {
            let deadline = self.broker.deadline();
            let tick = async {
                match deadline {
                    Some(uptime) => clock::sleep_until(uptime).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Stop(done)) => {
                        self.stop(&mut inbox).await;
                        return tell_done(done, ());
                    }
                    Some(order) => self.order(order),
                    None => return,
                },
                () = tick => self.handle(Input::Tick),
            }
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Ask(ask) => {
                let (asked, waiter) = *ask;
                self.waiters.insert(asked.client, waiter);
                self.handle(Input::Ask(asked));
            }
            Order::Gone(client) => {
                self.handle(Input::Gone(client));
                self.waiters.remove(&client);
            }
            Order::Refused(unasked) => self.handle(Input::Refused(unasked)),
            Order::Stretched(client, job, tag) => {
                self.handle(Input::Stretched(client, job, tag));
            }
            Order::Link(link, event) => self.link(link, event),
            Order::Pair(record, done) => {
                let link = record.id();
                self.handle(Input::Paired(record));
                let result = if self.store_failed {
                    self.handle(Input::Unpair(link));
                    Err(NotDone::NotStored)
                } else {
                    Ok(())
                };
                tell_done(done, result);
            }
            Order::Unpair(link, done) => {
                let known = self.broker.phones().any(|record| record.id() == link);
                let result = if known {
                    self.handle(Input::Unpair(link));
                    if self.store_failed {
                        Err(NotDone::NotStored)
                    } else {
                        Ok(())
                    }
                } else {
                    Err(NotDone::NoSuchPhone)
                };
                tell_done(done, result);
            }
            Order::Status(reply) => {
                let seen = self.seen();
                tell_done(reply, seen);
            }
            Order::Written(report) => self.written(report),
            Order::Proof(link, growth) => self.handle(Input::Proof(link, growth)),
            Order::Cancel(request) => self.handle(Input::Cancel(request)),
            Order::Returned(client) => self.traces.returned(client),
            Order::Trace(id, reply) => tell_done(reply, self.traces.list(&id)),
            Order::Metrics(reply) => {
                let seen = self.seen();
                match self.traces.metrics(&seen) {
                    Ok(text) => tell_done(reply, text),
                    Err(error) => error!(%error, "the metrics cannot be written"),
                }
            }
            Order::Resume => self.handle(Input::Resume),
            // Taken by the loop, which ends with it.
            Order::Stop(done) => tell_done(done, ()),
        }
    }

    fn link(&mut self, link: LinkId, event: LinkEvent) {
        let input = match event {
            LinkEvent::Up => Input::RelayUp(link),
            LinkEvent::Met(meeting) => {
                self.links.met(link, meeting);
                Input::Met(link)
            }
            LinkEvent::Frame(frame) => match entropy::fill() {
                Ok(bytes) => Input::Frame(link, frame, Entropy::from_bytes(bytes)),
                Err(no_entropy) => {
                    error!(%no_entropy, "a frame is dropped");
                    self.links.reset(link);
                    return;
                }
            },
            LinkEvent::Left => Input::Left(link),
            LinkEvent::Down => Input::RelayDown(link),
        };
        self.handle(input);
    }

    fn handle(&mut self, input: Input) {
        self.broker.handle(input, crypto::verifier(), clock::now());
        self.publish();
        while let Some(output) = self.broker.poll() {
            self.perform(output);
        }
    }

    /// Before any output is performed: whoever hears that the agent is locked finds nothing listed.
    fn publish(&self) {
        let listed = self.broker.listed();
        self.listed.send_if_modified(|shown| {
            let changed = **shown != listed;
            if changed {
                *shown = Arc::new(listed);
            }
            changed
        });
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Answer(client, answer) => {
                if let Some(waiter) = self.waiters.remove(&client) {
                    // A client that is gone needs no answer.
                    drop(waiter.answer.send(answer));
                }
            }
            Output::Send(link, frame) => self.links.send(link, &frame),
            Output::Restart(link) => self.links.reset(link),
            Output::Connect(link) => self.connect(link),
            Output::Disconnect(link) => self.links.leave(link),
            Output::Store => self.store(),
            Output::Stretch(client, passphrase, job) => self.stretch(client, passphrase, job),
            Output::Record(line) => {
                let taken = self.recorder.record(line);
                self.lost(taken);
            }
            Output::Prove(link, head) => self.prove(link, head),
            Output::Event(event) => self.tell(event),
        }
    }

    fn connect(&mut self, link: LinkId) {
        let record = self.broker.phones().find(|record| record.id() == link);
        if let Some(record) = record {
            self.links.take(link, &record.relay, record.bond.mailbox);
        }
    }

    fn store(&mut self) {
        let bytes = self.broker.phones_to_bytes();
        let stored = self.state.save(PHONES, &PHONES_KIND, &bytes);
        if let Err(refused) = &stored {
            error!(error = %refused, hint = refused.hint(), "the paired phones could not be stored");
        }
        self.store_failed = stored.is_err();
    }

    fn stretch(
        &self,
        client: ClientId,
        passphrase: vmux_broker::Passphrase,
        job: vmux_broker::Job,
    ) {
        let orders = self.hub.orders.clone();
        drop(tokio::task::spawn_blocking(move || {
            let tag = stretch(&passphrase, job.salt());
            if orders
                .blocking_send(Order::Stretched(client, job, tag))
                .is_err()
            {
                warn!("the agent stopped while a passphrase was checked");
            }
        }));
    }

    fn tell(&mut self, event: Event) {
        events::log(&event);
        let waiter = client_of(&event).and_then(|client| self.waiters.get(&client));
        let times = waiter.map(|waiter| waiter.times);
        self.traces.note(&event, times);
        let event = Arc::new(event);
        if let Some(client) = client_of(&event)
            && let Some(waiter) = self.waiters.get(&client)
            && waiter.news.try_send(Arc::clone(&event)).is_err()
        {
            tracing::debug!("a client's terminal misses some news");
        }
        // Nobody watches most of the time.
        drop(self.hub.events.send(event));
    }

    fn seen(&mut self) -> Seen {
        // What ends in time may have ended since the broker last looked at a clock.
        self.handle(Input::Tick);
        Seen {
            status: self.broker.status(),
            unwritten: self.unwritten.clone(),
        }
    }

    fn note(&mut self, event: audit::Event) {
        self.handle(Input::Note(Box::new(Entry::new(event))));
    }

    fn written(&mut self, report: Report) {
        let settled = self.recorder.reported(&report);
        match report.written {
            Ok(lines) => {
                if self.unwritten.is_some() && lines > self.broker.status().log.lines {
                    self.unwritten = None;
                }
                self.handle(Input::Recorded(lines));
            }
            Err(unwritten) => {
                self.unwritten = Some(unwritten);
                self.handle(Input::NotRecorded);
            }
        }
        self.lost(settled);
    }

    fn lost(&mut self, taken: Result<(), Full>) {
        if let Err(Full) = taken {
            self.unwritten = Some(Unwritten::full());
            self.handle(Input::NotRecorded);
        }
    }

    /// Reads the log's files on a thread of its own.
    fn prove(&self, link: LinkId, head: Head) {
        let orders = self.hub.orders.clone();
        let path = self.state.path().to_owned();
        drop(tokio::task::spawn_blocking(move || {
            let growth = log::growth(&path, head).unwrap_or_else(|refused| {
                error!(error = %refused, hint = refused.hint(), "the log cannot be read");
                None
            });
            let proof = Order::Proof(link, growth.unwrap_or_default());
            if orders.blocking_send(proof).is_err() {
                warn!("the agent stopped while the log was read");
            }
        }));
    }

    async fn stop(mut self, inbox: &mut mpsc::Receiver<Order>) {
        let clients: Vec<_> = self.waiters.keys().copied().collect();
        for client in clients {
            self.handle(Input::Gone(client));
        }
        self.note(audit::Event::Stopped);
        let stored = async {
            while !self.recorder.is_idle() {
                match inbox.recv().await {
                    Some(order) => self.order(order),
                    None => break,
                }
            }
        };
        if tokio::time::timeout(STORE_WITHIN, stored).await.is_err() {
            warn!("the last lines of the log may be missing: the disk does not answer");
        }
        self.links.leave_all().await;
    }
}

/// Whoever asked may have stopped waiting; then nobody needs the answer.
fn tell_done<T>(asker: oneshot::Sender<T>, answer: T) {
    if asker.send(answer).is_err() {
        tracing::debug!("nobody waits for the answer any more");
    }
}

/// The client whose request an event is about.
fn client_of(event: &Event) -> Option<ClientId> {
    match event {
        Event::Asked(Shown { client, .. })
        | Event::Sent(Shown { client, .. })
        | Event::Approved(Shown { client, .. })
        | Event::Received(Shown { client, .. })
        | Event::Number(Shown { client, .. }, _)
        | Event::Ended(Shown { client, .. }, _)
        | Event::Refused(client, _) => Some(*client),
        Event::Connected(..)
        | Event::Away(..)
        | Event::Paired(..)
        | Event::Unpaired(..)
        | Event::Identities(..)
        | Event::Locking(_)
        | Event::Questioned(..) => None,
    }
}
