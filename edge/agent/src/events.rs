//! Events as log fields and as lines for people.
use serde::Serialize;
use tracing::{debug, info, warn};
use vmux_broker::{Ended, Event, Locking, Shown, Waiting};
use vmux_host::output::Paint;
use vmux_proto::Untrusted;

use crate::provenance::title_of;

/// An event for a program that watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Told {
    /// What happened: `asked`, `number`, `signed`, …
    pub event: String,
    /// The request's id, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// One line for people, escaped.
    pub text: String,
    /// The next step, where something failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The number to type on the phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

impl Told {
    /// Puts an event into words.
    pub(crate) fn of(event: &Event) -> Self {
        let told = |name: &str, text: String| Self {
            event: name.to_owned(),
            request: None,
            text,
            hint: None,
            number: None,
        };
        let about = |shown: &Shown, told: Self| Self {
            request: Some(shown.waiting.id.to_string()),
            ..told
        };
        match event {
            Event::Asked(shown) => about(shown, told("asked", describe(&shown.waiting))),
            Event::Sent(shown) => about(
                shown,
                told("sent", format!("sent to {}", shown.waiting.phone)),
            ),
            Event::Approved(shown) => about(
                shown,
                told("approved", format!("approved on {}", shown.waiting.phone)),
            ),
            Event::Questioned(_, name) => told(
                "questioned",
                format!("the log of {name} does not go on from where it was"),
            ),
            Event::Received(shown) => {
                let text = format!("on the screen of {}", shown.waiting.phone);
                about(shown, told("received", text))
            }
            Event::Number(shown, number) => {
                let text = format!("type {number} on {}", shown.waiting.phone);
                let told = Self {
                    number: Some(number.to_string()),
                    ..told("number", text)
                };
                about(shown, told)
            }
            Event::Ended(shown, Ended::Signed) => about(
                shown,
                told("signed", format!("signed: {}", describe(&shown.waiting))),
            ),
            Event::Ended(shown, Ended::Denied(denial)) => {
                let text = format!("not signed: {denial}");
                let told = Self {
                    hint: Some(denial.hint().to_owned()),
                    ..told(denial.name(), text)
                };
                about(shown, told)
            }
            Event::Refused(_, denial) => {
                let text = format!("refused without asking: {denial}");
                Self {
                    hint: Some(denial.hint().to_owned()),
                    ..told(denial.name(), text)
                }
            }
            Event::Connected(_, name) => told("connected", format!("{name} is connected")),
            Event::Away(_, name) => told("away", format!("{name} is away")),
            Event::Paired(_, name) => told("paired", format!("{name} is paired")),
            Event::Unpaired(_, name) => told("unpaired", format!("{name} is not paired any more")),
            Event::Identities(_, count) => {
                told("identities", format!("the phone offers {count} identities"))
            }
            Event::Locking(Locking::Closed) => told("locked", "the agent is locked".to_owned()),
            Event::Locking(Locking::Opened) => told("unlocked", "the agent is unlocked".to_owned()),
            Event::Locking(Locking::WrongPassphrase) => told(
                "wrong-passphrase",
                "a wrong passphrase to unlock the agent".to_owned(),
            ),
        }
    }

    /// One line for a terminal.
    pub(crate) fn line(&self, paint: Paint) -> String {
        let subject = self.request.as_deref().unwrap_or("        ");
        let text = match self.event.as_str() {
            "signed" | "connected" | "paired" | "unlocked" => paint.green(&self.text),
            "number" => paint.bold(&self.text),
            "asked" | "sent" | "received" | "approved" | "identities" | "away" | "unpaired"
            | "locked" => self.text.clone(),
            _ => paint.red(&self.text),
        };
        let hint = self
            .hint
            .as_ref()
            .map(|hint| format!(" ({hint})"))
            .unwrap_or_default();
        format!("{}  {text}{}", paint.dim(subject), paint.dim(hint))
    }
}

/// What a request is, in one line: `login as root at web1, asked by git push`.
pub(crate) fn describe(waiting: &Waiting) -> String {
    let reported = &waiting.reported;
    let at = match (&waiting.host_key, &reported.host) {
        (_, Some(host)) => format!(" at {}", Untrusted::new(host)),
        (Some(key), None) => format!(" at {}", key.fingerprint()),
        (None, None) => String::new(),
    };
    let hops = match waiting.hops.len() {
        0 => String::new(),
        1 => ", forwarded over 1 host".to_owned(),
        more => format!(", forwarded over {more} hosts"),
    };
    let title = title_of(reported);
    let by = if title.raw().is_empty() {
        String::new()
    } else {
        format!(", asked by {title}")
    };
    format!("{}{at} with {}{hops}{by}", waiting.what, waiting.identity)
}

/// Fields, not sentences; hosts and users stay out of the default level.
pub(crate) fn log(event: &Event) {
    match event {
        Event::Asked(shown) => {
            let (request, level) = (&shown.waiting.id, shown.waiting.level.name());
            info!(%request, level, "asked");
            debug!(%request, what = describe(&shown.waiting), "asked for");
        }
        Event::Received(shown) => debug!(request = %shown.waiting.id, "received"),
        Event::Number(shown, _) => debug!(request = %shown.waiting.id, "number"),
        Event::Ended(shown, Ended::Signed) => info!(request = %shown.waiting.id, "signed"),
        Event::Ended(shown, Ended::Denied(denial)) => {
            info!(request = %shown.waiting.id, reason = denial.name(), "not signed");
        }
        Event::Refused(client, denial) => {
            warn!(
                client = client.0,
                reason = denial.name(),
                "refused without asking"
            );
        }
        Event::Connected(link, _) => info!(%link, "phone connected"),
        Event::Away(link, _) => info!(%link, "phone away"),
        Event::Paired(link, _) => info!(%link, "phone paired"),
        Event::Unpaired(link, _) => info!(%link, "phone unpaired"),
        Event::Identities(link, count) => debug!(%link, count, "identities"),
        Event::Sent(shown) => debug!(request = %shown.waiting.id, "sent"),
        Event::Approved(shown) => debug!(request = %shown.waiting.id, "approved"),
        Event::Questioned(link, _) => {
            warn!(%link, "the phone's log does not go on from where it was");
        }
        Event::Locking(locking) => info!(?locking, "lock"),
    }
}
