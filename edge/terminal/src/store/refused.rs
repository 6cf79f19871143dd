//! Why state is not used, and the way out.

use std::path::PathBuf;

use vmux_host::log::LogRefused;
use vmux_host::state_dir::StateRefused;

use crate::keyfile::KeyFileRefused;

/// Why the signer's state is not used. Nothing has been changed on disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreRefused {
    /// The directory or a file in it is not fit to be used.
    #[error(transparent)]
    State(#[from] StateRefused),
    /// The log is not fit to be added to.
    #[error(transparent)]
    Log(#[from] LogRefused),
    /// There is no signer yet.
    #[error("there is no signer in {}", dir.display())]
    NotSetUp {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// There is one already.
    #[error("there is a signer in {} already", dir.display())]
    SetUpBefore {
        /// Where.
        dir: PathBuf,
    },
    /// A file that belongs to every signer is not there.
    #[error("{} is missing", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// What is lost.
        if_lost: &'static str,
    },
    /// A key file does not hold the key it should.
    #[error("{}: {cause}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: KeyFileRefused,
    },
}

impl StoreRefused {
    /// Whether it is only that another process has the state at this moment.
    pub(crate) const fn is_held(&self) -> bool {
        matches!(self, Self::State(StateRefused::Held { .. }))
    }

    /// What the person can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::State(refused) => refused.hint(),
            Self::Log(refused) => refused.hint(),
            Self::NotSetUp { .. } => {
                "run `vmux-signer init` first, or name another --state-dir".to_owned()
            }
            Self::SetUpBefore { .. } => "use it, or name another --state-dir".to_owned(),
            Self::Missing { file, if_lost } => {
                format!("put back a copy of {}: {if_lost}", file.display())
            }
            Self::Key { file, .. } => format!(
                "put back a copy of {}, or run `vmux-signer key remove` for its identity",
                file.display()
            ),
        }
    }
}
