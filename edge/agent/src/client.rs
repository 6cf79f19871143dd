//! One client of the agent socket: bytes in, bytes out, and a line in its terminal while it waits.
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, info};
use vmux_broker::known_hosts::{Lookup, Name, Verdict};
use vmux_broker::{
    Answer, Ask, Asked, ClientId, Conversation, Event, Shown, SignAsk, Step, Unasked,
};
use vmux_host::{clock, crypto, entropy};
use vmux_proto::agent_wire::NotServed;
use vmux_proto::destination::Destination;
use vmux_proto::limits::MAX_HINT;
use vmux_proto::message::Reported;

use crate::events::{Told, describe};
use crate::hosts::Hosts;
use crate::hub::{Hub, Waiter};
use crate::provenance::{Inspector, Peer, Provenance};
use crate::trace::Times;
use crate::tty::Notice;

/// What every client needs.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) hub: Hub,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) inspector: Inspector,
    pub(crate) notices: Notices,
}

/// Whether requests are announced in the client's terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notices {
    On,
    Off,
}

/// A client is served until it hangs up.
pub(crate) struct Client {
    desk: Desk,
    id: ClientId,
    /// When its login began, in milliseconds of uptime: every client lists the identities first.
    began: u64,
    peer: Arc<Peer>,
    stream: UnixStream,
    conversation: Conversation,
    /// Set while a message has begun and not ended: until when its rest is due.
    unfinished: Option<Instant>,
    /// When its last bytes came.
    read: Instant,
    /// Set once the client has sent its last byte.
    ended: bool,
}

/// What a step took of the processor.
#[derive(Clone, Copy, Debug)]
enum Cost {
    /// Bytes were moved.
    Little,
    /// Up to a millisecond of proving.
    Arithmetic,
}

/// The client is gone, or cannot be served any more.
#[derive(Clone, Copy, Debug)]
struct HungUp;

/// A client that does not take its replies for this long is hung up on.
const WRITE_WITHIN: Duration = Duration::from_secs(20);

/// A client that has begun a message and not finished it for this long is hung up on.
const FINISH_WITHIN: Duration = Duration::from_secs(20);

/// How long `known_hosts` may take.
const LOOKUP_WITHIN: Duration = Duration::from_secs(2);

/// Bytes read at a time.
const READ_SIZE: usize = 4096;

/// How often a terminal is told how long is left.
const TICK: Duration = Duration::from_secs(1);

/// News kept for a client's terminal.
const MAX_NEWS: usize = 16;

impl Client {
    pub(crate) fn new(desk: Desk, id: ClientId, peer: Peer, stream: UnixStream) -> Self {
        Self {
            desk,
            id,
            began: clock::now().uptime,
            peer: Arc::new(peer),
            stream,
            conversation: Conversation::new(),
            unfinished: None,
            read: Instant::now(),
            ended: false,
        }
    }

    /// Serves until the client hangs up.
    pub(crate) async fn serve(mut self) {
        while let Ok(cost) = self.step().await {
            match cost {
                Cost::Little => {}
                // Others get their turn in between.
                Cost::Arithmetic => tokio::task::yield_now().await,
            }
        }
    }

    async fn step(&mut self) -> Result<Cost, HungUp> {
        let step = self.conversation.next(crypto::verifier());
        if !matches!(step, Ok(Step::Read)) {
            self.unfinished = None;
        }
        match step {
            Err(bad_length) => {
                info!(client = self.id.0, pid = self.peer.pid(), %bad_length, "hung up");
                Err(HungUp)
            }
            Ok(Step::Read) if self.ended => Err(HungUp),
            Ok(Step::Read) => {
                let read = self.read_on().await?;
                self.take(&read);
                Ok(Cost::Little)
            }
            Ok(Step::Write(reply)) => {
                self.write(&reply).await?;
                Ok(Cost::Arithmetic)
            }
            Ok(Step::Refuse(reply, denial, known)) => {
                let unasked = Unasked {
                    client: self.id,
                    denial,
                    reported: Reported::default(),
                    known,
                };
                self.desk
                    .hub
                    .refused(Box::new(unasked))
                    .await
                    .map_err(|_| HungUp)?;
                self.write(&reply).await?;
                Ok(Cost::Arithmetic)
            }
            Ok(Step::NotServed(reply, what)) => {
                self.not_served(what);
                self.write(&reply).await?;
                Ok(Cost::Little)
            }
            Ok(Step::Ask(Ask::Identities)) => {
                self.began = clock::now().uptime;
                let listed = self.desk.hub.listed();
                let answer = Answer::Identities(listed.to_vec());
                let reply = self.conversation.answer(answer);
                self.write(&reply).await?;
                Ok(Cost::Little)
            }
            Ok(Step::Ask(ask)) => {
                let signs = matches!(ask, Ask::Sign(_));
                let reply = match self.ask(ask).await? {
                    Some(answer) => self.conversation.answer(answer),
                    None => return Err(HungUp),
                };
                self.write(&reply).await?;
                if signs {
                    self.desk.hub.returned(self.id).await.map_err(|_| HungUp)?;
                }
                Ok(Cost::Arithmetic)
            }
        }
    }

    /// Asks the hub and waits, while the client may send more or hang up.
    async fn ask(&mut self, ask: Ask) -> Result<Option<Answer>, HungUp> {
        // What can be answered at once is answered to whoever only reads on; for the rest, a client
        // that has sent its last byte is gone.
        let can_take_long = matches!(ask, Ask::Sign(_) | Ask::Lock(_) | Ask::Unlock(_));
        let parsed = Instant::now();
        let (provenance, lookup, reported) = match &ask {
            Ask::Sign(sign) => {
                let (provenance, lookup) = self.look(sign).await;
                let reported = reported(&provenance, lookup.as_ref(), &sign.destination);
                (provenance, lookup, reported)
            }
            Ask::Identities | Ask::Lock(_) | Ask::Unlock(_) | Ask::RemoveAll | Ask::Remove => {
                (Provenance::default(), None, Reported::default())
            }
        };
        if matches!(ask, Ask::Remove) {
            info!(
                client = self.id.0,
                "identities are removed on the phone, not here"
            );
        }
        let (answer, mut answered) = oneshot::channel();
        let (news, mut heard) = mpsc::channel(MAX_NEWS);
        let asked = Asked {
            client: self.id,
            began: self.began,
            ask,
            random: entropy::fill().map_err(|_| HungUp)?,
            reported,
            known_hosts: lookup.map(|lookup| lookup.verdict),
        };
        let waiter = Waiter {
            answer,
            news,
            times: Times {
                read: self.read,
                parsed,
                looked: Instant::now(),
            },
        };
        self.desk.hub.ask(asked, waiter).await.map_err(|_| HungUp)?;
        let mut line = Line::new(self.desk.notices, &provenance);
        loop {
            if self.conversation.is_ahead() {
                info!(
                    client = self.id.0,
                    pid = self.peer.pid(),
                    "sent too much ahead"
                );
                self.desk.hub.gone(self.id).await.map_err(|_| HungUp)?;
                return Err(HungUp);
            }
            let listening = !self.ended;
            tokio::select! {
                biased;
                answer = &mut answered => {
                    while let Ok(event) = heard.try_recv() {
                        line.show(&event);
                    }
                    return Ok(answer.ok());
                }
                Some(event) = heard.recv() => line.show(&event),
                () = tokio::time::sleep(TICK), if line.is_waiting() => line.tick(),
                read = read(&self.stream), if listening => match read {
                    Ok(bytes) if bytes.is_empty() && can_take_long => {
                        self.desk.hub.gone(self.id).await.map_err(|_| HungUp)?;
                        return Err(HungUp);
                    }
                    Ok(bytes) => self.take(&bytes),
                    Err(HungUp) => {
                        self.desk.hub.gone(self.id).await.map_err(|_| HungUp)?;
                        return Err(HungUp);
                    }
                },
            }
        }
    }

    /// Finds out who the client is and what its host is called: hints for the person.
    async fn look(&self, sign: &SignAsk) -> (Provenance, Option<Lookup>) {
        let provenance = self.desk.inspector.inspect(Arc::clone(&self.peer)).await;
        let Some(key) = sign.destination.host_key().cloned() else {
            return (provenance, None);
        };
        let candidates: Vec<Name> = provenance
            .invocation()
            .filter(|_| sign.destination.hops().is_empty())
            .map(|invocation| invocation.names())
            .unwrap_or_default();
        let hosts = Arc::clone(&self.desk.hosts);
        let lookup = tokio::task::spawn_blocking(move || hosts.lookup(&key, &candidates));
        // A home directory that hangs must not keep the request from its deadline.
        if let Ok(lookup) = tokio::time::timeout(LOOKUP_WITHIN, lookup).await {
            return (provenance, lookup.ok());
        }
        info!(client = self.id.0, "known_hosts could not be read in time");
        (provenance, None)
    }

    /// The next bytes. A client may be silent between messages for ever, but not within one: it
    /// would hold a place that others need.
    async fn read_on(&mut self) -> Result<Vec<u8>, HungUp> {
        if !self.conversation.has_begun_a_frame() {
            return read(&self.stream).await;
        }
        let until = *self
            .unfinished
            .get_or_insert_with(|| Instant::now() + FINISH_WITHIN);
        if let Ok(read) = tokio::time::timeout_at(until, read(&self.stream)).await {
            return read;
        }
        info!(
            client = self.id.0,
            pid = self.peer.pid(),
            "did not finish its message"
        );
        Err(HungUp)
    }

    fn take(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.ended = true;
        }
        self.read = Instant::now();
        self.conversation.read(bytes);
    }

    async fn write(&mut self, reply: &[u8]) -> Result<(), HungUp> {
        match tokio::time::timeout(WRITE_WITHIN, self.stream.write_all(reply)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                debug!(client = self.id.0, %error, "hung up");
                Err(HungUp)
            }
            Err(_) => {
                info!(
                    client = self.id.0,
                    pid = self.peer.pid(),
                    "does not read its replies"
                );
                Err(HungUp)
            }
        }
    }

    fn not_served(&self, what: NotServed) {
        let pid = self.peer.pid();
        match what {
            NotServed::AddIdentity => {
                info!(
                    pid,
                    "keys are not added here: identities are managed on the phone"
                );
            }
            NotServed::Smartcard => info!(pid, "smartcards and PKCS#11 are never loaded here"),
            NotServed::Extension => debug!(pid, "an extension that is not served"),
            NotServed::Unknown(number) => debug!(pid, number, "a message that is not served"),
        }
    }
}

/// The next bytes; none if the client has sent its last. The buffer lives only while it is filled,
/// so that an idle client costs next to nothing.
async fn read(stream: &UnixStream) -> Result<Vec<u8>, HungUp> {
    loop {
        stream.readable().await.map_err(|_| HungUp)?;
        let mut buffer = [0; READ_SIZE];
        match stream.try_read(&mut buffer) {
            Ok(count) => return Ok(buffer.get(..count).unwrap_or_default().to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(HungUp),
        }
    }
}

/// What is known of a client and where it goes. The command line of a forwarded one names the first
/// hop, not the destination: as the destination's name it would be wrong.
fn reported(
    provenance: &Provenance,
    lookup: Option<&Lookup>,
    destination: &Destination,
) -> Reported {
    let known_hosts = lookup.and_then(|lookup| match &lookup.verdict {
        Verdict::Confirmed { name } => Some(format!("{} (in known_hosts)", name.as_str())),
        Verdict::Named { names } => Some(format!("{} (in known_hosts)", names.join(", "))),
        Verdict::HashedKnown => Some("in known_hosts under a hashed name".to_owned()),
        Verdict::Revoked => Some("revoked in known_hosts".to_owned()),
        Verdict::Unknown => None,
    });
    let known_hosts = known_hosts.map(|mut text| {
        text.truncate(text.floor_char_boundary(MAX_HINT));
        text
    });
    let reported = provenance.reported();
    Reported {
        known_hosts,
        host: reported.host.filter(|_| destination.hops().is_empty()),
        ..reported
    }
}

/// The line in the client's terminal.
struct Line {
    notice: Option<Notice>,
    /// What is waited for, and until when, in milliseconds of uptime.
    waiting: Option<(String, u64)>,
}

impl Line {
    fn new(notices: Notices, provenance: &Provenance) -> Self {
        let notice = match notices {
            Notices::On => provenance.terminal.as_ref().and_then(Notice::open),
            Notices::Off => None,
        };
        Self {
            notice,
            waiting: None,
        }
    }

    const fn is_waiting(&self) -> bool {
        self.notice.is_some() && self.waiting.is_some()
    }

    /// Says how long is left.
    fn tick(&mut self) {
        if let (Some(notice), Some((text, deadline))) = (&mut self.notice, &self.waiting) {
            let left = deadline.saturating_sub(clock::now().uptime).div_ceil(1000);
            // What changes stands first: a narrow terminal cuts the end.
            notice.waiting(&format!("{left} s: {text}"));
        }
    }

    fn wait(&mut self, what: &str, shown: &Shown) {
        let text = format!("{what}: {}", describe(&shown.waiting));
        self.waiting = Some((text, shown.waiting.deadline));
        self.tick();
    }

    fn show(&mut self, event: &Event) {
        if self.notice.is_none() {
            return;
        }
        match event {
            Event::Asked(shown) => {
                self.wait(&format!("asking {}", shown.waiting.phone), shown);
            }
            Event::Received(shown) => {
                self.wait(&format!("approve on {}", shown.waiting.phone), shown);
            }
            Event::Number(shown, number) => {
                self.wait(&format!("type {number} on {}", shown.waiting.phone), shown);
            }
            Event::Ended(_, vmux_broker::Ended::Signed) => {
                // The program's own output goes on; nothing needs to be said.
                self.notice = None;
            }
            Event::Ended(..) | Event::Refused(..) => {
                let told = Told::of(event);
                let hint = told
                    .hint
                    .map(|hint| format!("; {hint}"))
                    .unwrap_or_default();
                if let Some(notice) = self.notice.take() {
                    notice.outcome(&format!("{}{hint}", told.text));
                }
            }
            Event::Sent(_)
            | Event::Approved(_)
            | Event::Questioned(..)
            | Event::Connected(..)
            | Event::Away(..)
            | Event::Paired(..)
            | Event::Unpaired(..)
            | Event::Identities(..)
            | Event::Locking(_) => {}
        }
    }
}
