//! One record of the log.
use crate::destination::Destination;
use crate::message::{Reported, RequestId};
use crate::payload::Payload;
use crate::source::Source;
use crate::untrusted::Untrusted;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One record. Every text is escaped, so that a log can be looked at in a terminal (I20); what does
/// not apply is left out. Times of one request are told apart by its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Number of the line, from 1; the chain sets it.
    pub line: u64,
    /// When, as RFC 3339 in UTC; the chain sets it.
    pub time: String,
    /// What happened.
    pub event: Event,
    /// The request's id, 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Why, by the name of the refusal or denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The link's name: which phone or which agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What the other end of the link calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Label of the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Fingerprint of the identity's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `login`, `signature` or `certificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The user of a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The namespace of a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How well the destination is proven ([`Level::name`](crate::destination::Level::name)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Fingerprint of the destination's host key, proven or claimed as `level` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// The destination's name: pinned where the signer writes, as reported where the agent does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What the workstation's `known_hosts` says of the host key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<String>,
    /// Fingerprints of the hosts on the way, first hop first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<String>,
    /// Who is counted for limits ([`Source`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The client and its ancestors as reported, the client first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Program>,
    /// The client's working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The client's terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// Milliseconds from the question to this line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// How many, where the event counts something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The other end's log as this end knows it: number of lines and digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_log: Option<String>,
    /// Digest of all lines before this one; the chain sets it.
    pub prev: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The program started.
    #[default]
    Started,
    /// The program stopped in order.
    Stopped,
    /// A signature is asked for, and the person will be.
    Asked,
    /// The person approved, and the signature leaves after this line.
    Approved,
    /// The person said no.
    Denied,
    /// Nobody decided in time.
    TimedOut,
    /// Whoever asked is gone, or took it back.
    Cancelled,
    /// Refused without the person's decision; `reason` says why.
    Refused,
    /// A pairing was made.
    Paired,
    /// A pairing ended.
    Unpaired,
    /// The agent was locked.
    Locked,
    /// The agent was unlocked.
    Unlocked,
    /// Somebody tried to unlock the agent with a wrong passphrase.
    WrongPassphrase,
    /// A source was blocked.
    Blocked,
    /// A source's block was lifted.
    Unblocked,
    /// A new file of the same log begins.
    Continued,
    /// Records could not be written; `count` says how many.
    Lost,
    /// The other end's log does not continue what this end remembers.
    Questioned,
}

impl Event {
    /// The name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Paired => "paired",
            Self::Unpaired => "unpaired",
            Self::Locked => "locked",
            Self::Unlocked => "unlocked",
            Self::WrongPassphrase => "wrong-passphrase",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
            Self::Continued => "continued",
            Self::Lost => "lost",
            Self::Questioned => "questioned",
        }
    }
}

/// A process as reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Program {
    /// Its number on the workstation.
    pub pid: u32,
    /// Its executable.
    pub path: String,
    /// Its command line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
}

impl Entry {
    /// A record of an event.
    pub fn new(event: Event) -> Self {
        Self {
            event,
            ..Self::default()
        }
    }

    /// Adds the request: what would be signed, where it goes, who asks.
    #[must_use]
    pub fn about(
        self,
        request: RequestId,
        payload: &Payload,
        destination: &Destination,
        reported: &Reported,
    ) -> Self {
        let (what, user, namespace) = match payload {
            Payload::Userauth(userauth) => ("login", Some(userauth.user.to_string()), None),
            Payload::SshSig(signature) => ("signature", None, Some(escaped(&signature.namespace))),
            Payload::Certificate(_) => ("certificate", None, None),
        };
        let hops = destination.hops().iter();
        Self {
            request: Some(hexadecimal(&request.0)),
            what: Some(what.into()),
            user,
            namespace,
            level: Some(destination.level().name().into()),
            host_key: destination
                .host_key()
                .map(|key| key.fingerprint().to_string()),
            hops: hops.map(|key| key.fingerprint().to_string()).collect(),
            source: Some(Source::of(destination, reported).to_string()),
            ..self.reported_by(reported)
        }
    }

    /// Adds what the workstation says about the client.
    #[must_use]
    pub fn reported_by(self, reported: &Reported) -> Self {
        let text = |text: &Option<String>| text.as_ref().map(|text| escaped(text));
        let programs = reported.processes.iter().map(|process| Program {
            pid: process.pid,
            path: escaped(&process.program),
            command: escaped(&process.command),
        });
        Self {
            host: text(&reported.host),
            known_hosts: text(&reported.known_hosts),
            programs: programs.collect(),
            directory: text(&reported.directory),
            terminal: text(&reported.terminal),
            ..self
        }
    }

    /// Whether this line is about the request whose id begins so.
    pub fn is_about(&self, id: &str) -> bool {
        let request = self.request.as_ref();
        !id.is_empty() && request.is_some_and(|request| request.starts_with(id))
    }
}

fn escaped(text: &str) -> String {
    format!("{}", Untrusted::new(text))
}

/// Lower case, two digits a byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
