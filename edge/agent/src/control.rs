//! The control socket: how the command line speaks with the daemon (I12).
//!
//! It lies in the state directory, apart from the agent socket, so that a forwarded agent never
//! reaches it. One JSON object a line both ways; a connection makes one request.
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use vmux_broker::{Progress, Reach};
use vmux_harden::Protection;
use vmux_proto::Untrusted;

pub use crate::events::Told;
use crate::events::describe;
use crate::hub::Seen;
use crate::provenance::title_of;
pub use crate::trace::{Stage, Traced};

/// What the command line asks of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// One [`Reply::Status`].
    Status,
    /// A [`Reply::Told`] for everything that happens, until the connection ends.
    Watch,
    /// An offer; then a code; then [`Request::Answer`] is expected.
    Pair,
    /// Whether the person says the codes are the same.
    Answer {
        /// They are.
        same: Sameness,
    },
    /// End the pairing with the phone of this name or id.
    Unpair {
        /// Its id, or its name if only one has it.
        phone: String,
    },
    /// Take back the request whose id begins so.
    Cancel {
        /// As much of the id as tells it from others.
        request: String,
    },
    /// Go on after a phone disowned a request.
    Resume,
    /// The stages of the last requests whose ids begin so.
    Trace {
        /// As much of the id as is wanted; nothing for all.
        request: String,
    },
    /// Numbers for Prometheus.
    Metrics,
}

/// What the person says of two codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sameness {
    /// Both screens show the same.
    Same,
    /// They differ, or the person gave up.
    Different,
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Reply {
    /// The agent at this moment.
    Status(Report),
    /// Something happened.
    Told {
        /// What.
        told: Told,
    },
    /// A phone can pair with this link.
    Offer {
        /// The link.
        link: String,
        /// When it expires, in seconds since 1970.
        expires: u64,
    },
    /// A phone has proven that it knows the link.
    Code {
        /// To be compared with the phone's screen.
        code: String,
        /// Who the phone says it is.
        phone: Named,
    },
    /// It is done.
    Done {
        /// The phone's id.
        phone: String,
        /// Its name.
        name: String,
        /// What is still open, if anything is.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A request was taken back.
    Cancelled {
        /// Its id.
        request: String,
        /// One line for people, escaped.
        what: String,
    },
    /// The agent goes on.
    Resumed {
        /// The phones that had stopped it.
        phones: Vec<String>,
        /// Whether it is locked with a passphrase besides.
        passphrase: Wanted,
    },
    /// Where the time of requests went.
    Traces {
        /// Newest last.
        traces: Vec<Traced>,
    },
    /// Numbers for Prometheus.
    Metrics {
        /// In its text form.
        text: String,
    },
    /// It is not done.
    Failed {
        /// Why.
        reason: String,
        /// The next step.
        hint: String,
        /// Whether somebody said no.
        #[serde(default)]
        fault: Fault,
    },
}

impl Reply {
    /// Something went wrong.
    pub fn failed(reason: impl std::fmt::Display, hint: impl Into<String>) -> Self {
        Self::Failed {
            reason: reason.to_string(),
            hint: hint.into(),
            fault: Fault::Failure,
        }
    }
}

/// Whether something is wanted of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It went wrong.
    #[default]
    Failure,
    /// A person said no.
    Refusal,
}

/// A phone as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its name, escaped.
    pub name: String,
    /// `terminal`, `web`.
    pub kind: String,
}

/// The agent at one moment, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// Where clients connect.
    pub socket: String,
    /// Where phones are met.
    pub relay: String,
    /// Whether a passphrase is needed to go on.
    pub locked: bool,
    /// The paired phones.
    pub phones: Vec<Phone>,
    /// The requests that wait for a person.
    pub waiting: Vec<Waiting>,
    /// Programs and hosts of which nothing is asked for some seconds.
    #[serde(default)]
    pub paused: Vec<Held>,
    /// Programs and hosts that are blocked on a phone.
    #[serde(default)]
    pub blocked: Vec<Held>,
    /// The log.
    #[serde(default)]
    pub log: LogState,
    /// Where identities are managed.
    pub note: String,
    /// What protects the daemon's process, and what does not.
    #[serde(default)]
    pub protections: Vec<Protection>,
}

/// A paired phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// Names it in commands.
    pub id: String,
    /// What it calls itself, escaped.
    pub name: String,
    /// `terminal`, `web`.
    pub kind: String,
    /// `connected`, `away` or `no-relay`.
    pub state: String,
    /// Where it is met.
    pub relay: String,
    /// When it was paired, in seconds since 1970.
    pub paired: u64,
    /// When it was last connected, in seconds since 1970.
    pub seen: u64,
    /// Whether the person said on it that a request was not theirs, so that nothing is signed.
    #[serde(default)]
    pub suspended: bool,
    /// What it can sign with.
    pub identities: Vec<Identity>,
}

/// An identity of a phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its label, escaped.
    pub label: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// The line for `authorized_keys`, without comment.
    pub public: String,
}

/// A request that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Names it.
    pub request: String,
    /// One line for people, escaped.
    pub what: String,
    /// How well the destination is proven.
    pub level: String,
    /// The host key's fingerprint, if there is one.
    pub host_key: Option<String>,
    /// Fingerprints of the hosts on the way.
    pub hops: Vec<String>,
    /// The number to type on the phone.
    pub number: Option<String>,
    /// The phone that was asked.
    pub phone: String,
    /// Seconds left.
    pub seconds_left: u64,
    /// The command that asks.
    pub command: Option<String>,
    /// What was run and from where, escaped.
    #[serde(default)]
    pub title: String,
    /// Who is counted for limits, escaped.
    #[serde(default)]
    pub source: String,
    /// How far it has come: `recording`, `queued`, `sent`, `shown`, `approved`.
    #[serde(default)]
    pub stage: String,
    /// How many clients wait for it.
    #[serde(default)]
    pub askers: usize,
}

/// A program or host that is paused or blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which, escaped.
    pub source: String,
    /// The phone's id, for blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Seconds left.
    pub seconds_left: u64,
}

/// The log at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// Lines that are stored.
    pub lines: u64,
    /// Number of lines and digest, as phones remember it.
    pub head: String,
    /// Why it cannot be written, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Report {
    pub(crate) fn new(seen: &Seen, socket: &Path, relay: &str, uptime: u64) -> Self {
        let status = &seen.status;
        let phones = status.phones.iter().map(|phone| Phone {
            id: phone.id.to_string(),
            name: phone.name.to_string(),
            kind: phone.kind.to_string(),
            state: match phone.reach {
                Reach::Connected => "connected",
                Reach::Away => "away",
                Reach::NoRelay => "no-relay",
            }
            .to_owned(),
            relay: phone.relay.clone(),
            paired: phone.paired,
            seen: phone.seen,
            suspended: phone.suspended,
            identities: phone
                .identities
                .iter()
                .map(|(key, label)| Identity {
                    label: label.to_string(),
                    fingerprint: key.fingerprint().to_string(),
                    public: key.to_line(),
                })
                .collect(),
        });
        let waiting = status.waiting.iter().map(|one| Waiting {
            request: one.id.to_string(),
            what: describe(one),
            level: one.level.name().to_owned(),
            host_key: one
                .host_key
                .as_ref()
                .map(|key| key.fingerprint().to_string()),
            hops: one
                .hops
                .iter()
                .map(|key| key.fingerprint().to_string())
                .collect(),
            number: one.number.map(|number| number.to_string()),
            phone: one.phone.to_string(),
            seconds_left: one.deadline.saturating_sub(uptime) / 1000,
            command: one
                .reported
                .processes
                .first()
                .map(|process| Untrusted::new(&process.command).to_string()),
            title: title_of(&one.reported).to_string(),
            source: one.source.to_string(),
            stage: match one.stage {
                Progress::Recording => "recording",
                Progress::Queued => "queued",
                Progress::Sent => "sent",
                Progress::Shown => "shown",
                Progress::Approved => "approved",
            }
            .to_owned(),
            askers: one.askers,
        });
        let left = |until: u64| until.saturating_sub(uptime).div_ceil(1000);
        let paused = status.paused.iter().map(|(source, until)| Held {
            source: source.to_string(),
            phone: None,
            seconds_left: left(*until),
        });
        let blocked = status.blocked.iter().map(|(link, source, until)| Held {
            source: source.to_string(),
            phone: Some(link.to_string()),
            seconds_left: left(*until),
        });
        let unwritten = seen.unwritten.as_ref().filter(|_| status.log_failing);
        let log = LogState {
            lines: status.log.lines,
            head: status.log.to_string(),
            failing: unwritten.map(|unwritten| unwritten.reason.clone()),
            hint: unwritten.map(|unwritten| unwritten.hint.clone()),
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            socket: socket.display().to_string(),
            relay: relay.to_owned(),
            locked: status.locked,
            phones: phones.collect(),
            waiting: waiting.collect(),
            paused: paused.collect(),
            blocked: blocked.collect(),
            log,
            note: MANAGED.to_owned(),
            protections: Vec::new(),
        }
    }
}

/// What people learn who try to add or remove keys with `ssh-add`.
const MANAGED: &str = "identities are added, removed and limited on the phone, not with ssh-add";

/// One end of a control connection.
#[derive(Debug)]
pub struct Wire {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// Why a control connection ended.
#[derive(Debug, thiserror::Error)]
pub enum WireBroken {
    /// The other end is gone.
    #[error("the other end is gone")]
    Ended,
    /// A line is too long or not what it should be.
    #[error("the other end speaks another version: restart the agent after an update")]
    NotUnderstood,
    /// The system failed.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Longest line: a status with all phones and all requests fits.
const MAX_LINE: u64 = 1024 * 1024;

impl Wire {
    /// Speaks over a connected socket.
    pub fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
        }
    }

    /// The next line.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, WireBroken> {
        let mut line = String::new();
        let read = (&mut self.reader)
            .take(MAX_LINE)
            .read_line(&mut line)
            .await?;
        if read == 0 {
            return Err(WireBroken::Ended);
        }
        serde_json::from_str(&line).map_err(|_| WireBroken::NotUnderstood)
    }

    /// Sends one line.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), WireBroken> {
        let mut line = serde_json::to_string(message).map_err(|_| WireBroken::NotUnderstood)?;
        line.push('\n');
        Ok(self.writer.write_all(line.as_bytes()).await?)
    }
}
