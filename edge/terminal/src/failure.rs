//! How a command fails: what happened, what the person can do, and the exit status.

use std::io;
use std::process::ExitCode;

use vmux_harden::NotHardened;
use vmux_host::config::ConfigRefused;
use vmux_host::entropy::NoEntropy;
use vmux_host::log::LogFailed;
use vmux_host::paths::NoHome;
use vmux_host::relay::AddressRejected;
use vmux_host::state_dir::StateRefused;
use vmux_proto::pairing::PairingFailed;
use vmux_signer::{IdentityRefused, OfferRejected, PinNameRefused};

use crate::keyfile::{KeyFileRefused, NotSealed};
use crate::passphrase::NoPassphrase;
use crate::store::StoreRefused;

/// The exit statuses besides 0, the same for all of vmuxAgent's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It failed and said why.
    Failed,
    /// The command line is wrong.
    Usage,
    /// Nothing is running, or it cannot be reached.
    Unreachable,
    /// The person or the other end said no.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Refused => 4,
        })
    }
}

/// Why a command did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct CommandFailed {
    /// The exit status.
    pub(crate) exit: Exit,
    /// One word for programs.
    pub(crate) reason: &'static str,
    /// What happened.
    pub(crate) what: String,
    /// What the person can do about it.
    pub(crate) hint: String,
}

impl CommandFailed {
    /// A failure with exit status 1.
    pub(crate) fn new(what: impl core::fmt::Display, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            reason: "failed",
            what: what.to_string(),
            hint: hint.into(),
        }
    }

    /// The same with another exit status and word.
    pub(crate) fn with_exit(self, exit: Exit, reason: &'static str) -> Self {
        Self {
            exit,
            reason,
            ..self
        }
    }
}

impl From<StoreRefused> for CommandFailed {
    fn from(refused: StoreRefused) -> Self {
        Self::new(&refused, refused.hint())
    }
}

impl From<StateRefused> for CommandFailed {
    fn from(refused: StateRefused) -> Self {
        Self::new(&refused, refused.hint())
    }
}

impl From<LogFailed> for CommandFailed {
    fn from(failed: LogFailed) -> Self {
        Self::new(&failed, failed.hint())
    }
}

impl From<ConfigRefused> for CommandFailed {
    fn from(refused: ConfigRefused) -> Self {
        Self::new(&refused, refused.hint())
    }
}

impl From<NoPassphrase> for CommandFailed {
    fn from(none: NoPassphrase) -> Self {
        Self::new(&none, none.hint())
    }
}

impl From<KeyFileRefused> for CommandFailed {
    fn from(refused: KeyFileRefused) -> Self {
        Self::new(&refused, refused.hint())
    }
}

impl From<NotSealed> for CommandFailed {
    fn from(failed: NotSealed) -> Self {
        Self::new(failed, "try again")
    }
}

impl From<NoEntropy> for CommandFailed {
    fn from(none: NoEntropy) -> Self {
        Self::new(
            none,
            "try again; if it stays so, this system cannot keep secrets",
        )
    }
}

impl From<NotHardened> for CommandFailed {
    fn from(failed: NotHardened) -> Self {
        Self::new(
            failed,
            "keys are not opened in a process that others can read",
        )
    }
}

impl From<NoHome> for CommandFailed {
    fn from(none: NoHome) -> Self {
        Self::new(none, none.hint())
    }
}

impl From<AddressRejected> for CommandFailed {
    fn from(rejected: AddressRejected) -> Self {
        Self::new(rejected, rejected.hint())
    }
}

impl From<OfferRejected> for CommandFailed {
    fn from(rejected: OfferRejected) -> Self {
        let reason = match rejected {
            OfferRejected::Expired => "expired",
            OfferRejected::Malformed | OfferRejected::UnknownVersion | OfferRejected::BadRelay => {
                "bad-link"
            }
        };
        Self::new(rejected, rejected.hint()).with_exit(Exit::Failed, reason)
    }
}

impl From<PairingFailed> for CommandFailed {
    fn from(failed: PairingFailed) -> Self {
        let exit = match failed {
            PairingFailed::RejectedHere | PairingFailed::RejectedThere => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(failed, failed.hint()).with_exit(exit, failed.name())
    }
}

impl From<IdentityRefused> for CommandFailed {
    fn from(refused: IdentityRefused) -> Self {
        let hint = match refused {
            IdentityRefused::NoSuch | IdentityRefused::Exists => "see `vmux-signer key list`",
            IdentityRefused::LabelTaken | IdentityRefused::BadLabel => "choose another label",
            IdentityRefused::TooMany => "remove one with `vmux-signer key remove`",
            IdentityRefused::Unsuitable => "make a new key with `vmux-signer key new`",
        };
        Self::new(refused, hint)
    }
}

impl From<PinNameRefused> for CommandFailed {
    fn from(refused: PinNameRefused) -> Self {
        Self::new(refused, "choose another name")
    }
}

impl From<io::Error> for CommandFailed {
    fn from(error: io::Error) -> Self {
        Self::new(error, "try again")
    }
}
