//! A request in words: what it is, where it goes, what became of it.
//!
//! Every text from outside passes through `Untrusted`'s display, which escapes what could move,
//! hide or reverse other text (I20).

use vmux_host::files::FileRefused;
use vmux_host::log::LogFailed;
use vmux_proto::Untrusted;
use vmux_proto::destination::Level;
use vmux_signer::{Host, Pin, PinName, Prompt, Standing, Subject, Withdrawn};

/// Where a signature goes, and what the signer knows about that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes<'a> {
    /// To a host with a name.
    Pinned(&'a Pin),
    /// To a host that proved itself and was never approved.
    New,
    /// To a host whose name is pinned to another key.
    Changed(&'a Pin),
    /// To a host that the client names without proof.
    Claimed,
    /// Anywhere.
    Unknown,
    /// Nowhere: it is no login.
    Nowhere,
    /// Nowhere, but a host it was forwarded to asked for it.
    NowhereForwarded,
}

impl<'a> Goes<'a> {
    /// Of this request.
    pub(crate) fn of(prompt: &'a Prompt) -> Self {
        let standing = prompt.host.as_ref().map(|host| &host.standing);
        match (prompt.level, standing) {
            (Level::Direct | Level::Forwarded, Some(Standing::Pinned(pin))) => Self::Pinned(pin),
            (Level::Direct | Level::Forwarded, Some(Standing::New)) => Self::New,
            (_, Some(Standing::Changed(pin))) => Self::Changed(pin),
            (Level::Claimed, _) => Self::Claimed,
            (Level::Local, _) => Self::Nowhere,
            (Level::ForwardedLocal, _) => Self::NowhereForwarded,
            // The first two always come with a standing; without one nothing is known.
            (Level::Direct | Level::Forwarded | Level::Unknown, _) => Self::Unknown,
        }
    }

    /// The name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pinned(_) => "pinned",
            Self::New => "new",
            Self::Changed(_) => "changed",
            Self::Claimed | Self::Unknown => "unverified",
            Self::Nowhere | Self::NowhereForwarded => "none",
        }
    }
}

/// What is asked for: `login as deploy`.
pub(crate) fn subject(prompt: &Prompt) -> String {
    match &prompt.subject {
        Subject::Login { user } => format!("login as {}", quoted(user)),
        Subject::Signature { namespace, .. } => format!("signature for {}", quoted(namespace)),
    }
}

/// What is asked for and where it goes, in one line.
pub(crate) fn summary(prompt: &Prompt) -> String {
    let subject = subject(prompt);
    let via = if prompt.level.is_forwarded() {
        ", forwarded"
    } else {
        ""
    };
    match Goes::of(prompt) {
        Goes::Pinned(pin) => format!("{subject} at {}{via}", pin.name.as_str()),
        Goes::New => format!("{subject} at a new host{via}"),
        Goes::Changed(pin) => {
            format!(
                "{subject} at {}, whose host key CHANGED{via}",
                pin.name.as_str()
            )
        }
        Goes::Claimed | Goes::Unknown => format!("{subject} at an unverified host"),
        Goes::Nowhere | Goes::NowhereForwarded => format!("{subject}{via}"),
    }
}

/// A host on the way, in a few words.
pub(crate) fn hop(host: &Host) -> String {
    match &host.standing {
        Standing::Pinned(pin) => pin.name.as_str().to_owned(),
        Standing::New => format!("new host {}", short(host)),
        Standing::Changed(pin) => format!("{} with a CHANGED key", pin.name.as_str()),
        Standing::Unverified => format!("unverified host {}", short(host)),
    }
}

fn short(host: &Host) -> String {
    host.fingerprint
        .to_string()
        .chars()
        .take(15)
        .chain(['…'])
        .collect()
}

/// What became of a request.
pub(crate) fn outcome(why: Withdrawn) -> String {
    match why {
        Withdrawn::Signed => "signed".to_owned(),
        Withdrawn::Refused(refusal) => format!("refused ({})", refusal.name()),
        Withdrawn::Cancelled => "gone (the client went away)".to_owned(),
        Withdrawn::Disconnected => "gone (the connection broke)".to_owned(),
    }
}

/// Why the log cannot be written; the cause first, where no path can push it off a line.
pub(crate) fn log_failure(failed: &LogFailed) -> String {
    match failed {
        LogFailed::System(FileRefused::Failed { file, cause, .. }) => {
            format!("{cause}: {}", file.display())
        }
        other => other.to_string(),
    }
}

/// The name a new host gets unless the person gives another: the one the workstation reports, unless
/// it belongs to another key.
pub(crate) fn suggested_name(prompt: &Prompt) -> Option<PinName> {
    match Goes::of(prompt) {
        Goes::New if prompt.namesake.is_none() => {
            PinName::parse(prompt.reported.host.as_deref()?).ok()
        }
        _ => None,
    }
}

/// A name from outside; in quotes if its end or its parts could be mistaken.
pub(crate) fn quoted(name: &Untrusted) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.@+".contains(c);
    if !name.is_empty() && name.raw().chars().all(plain) {
        name.to_string()
    } else {
        format!("“{name}”")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_or_worse_stand_in_quotes() {
        for (name, shown) in [
            ("deploy", "deploy"),
            ("zoë.b-2@x", "zoë.b-2@x"),
            ("root  at other", "“root  at other”"),
            ("root\u{202e}x", "“root\\u{202e}x”"),
            ("", "“”"),
        ] {
            assert_eq!(quoted(&Untrusted::new(name)), shown);
        }
    }
}
