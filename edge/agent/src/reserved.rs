//! What the daemon takes hold of before it starts: its state, the places of its sockets, and the
//! process that looks at clients. After that it can be restricted.

use vmux_broker::PhoneRecord;
use vmux_harden::Protection;
use vmux_host::paths;
use vmux_host::state_dir::{Holder, StateDir, StateRefused};

use crate::daemon::{Setting, StartFailed};
use crate::hub::{PHONES, PHONES_KIND};
use crate::provenance::{Inspector, System};
use crate::socket::{Claim, IfMissing};

/// All that only one daemon can have.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) state: StateDir,
    pub(crate) phones: Vec<PhoneRecord>,
    /// The agent socket's place.
    pub(crate) agent: Claim,
    /// The control socket's place.
    pub(crate) control: Claim,
    pub(crate) looks: Looks,
    /// What protects the process, and what does not.
    pub(crate) protections: Vec<Protection>,
}

/// Who looks at clients.
#[derive(Debug)]
pub(crate) enum Looks {
    /// This process.
    Here,
    /// One more, because this one will not be able to.
    #[cfg(target_os = "linux")]
    Apart(crate::provenance::apart::Started),
}

impl Reserved {
    /// Takes all of it, or nothing.
    pub(crate) fn take(setting: &Setting) -> Result<Self, StartFailed> {
        let state = StateDir::open(&setting.state_dir, &Holder::this("vmux-agent"))?;
        let phones = load_phones(&state)?;
        let agent = Claim::take(&setting.socket.0, setting.socket.1)?;
        let control = Claim::take(&paths::control_socket(state.path()), IfMissing::Refuse)?;
        Ok(Self {
            state,
            phones,
            agent,
            control,
            looks: Looks::Here,
            protections: Vec::new(),
        })
    }
}

impl Looks {
    pub(crate) fn inspector(self) -> Inspector {
        match self {
            Self::Here => Inspector::new(System),
            #[cfg(target_os = "linux")]
            Self::Apart(started) => Inspector::new(started.listen()),
        }
    }
}

fn load_phones(state: &StateDir) -> Result<Vec<PhoneRecord>, StateRefused> {
    let Some(stored) = state.load(PHONES, &PHONES_KIND, MAX_PHONES_FILE)? else {
        return Ok(Vec::new());
    };
    PhoneRecord::list_from_bytes(&stored.body).map_err(|_| StateRefused::Damaged {
        file: state.path().join(PHONES),
        if_lost: PHONES_KIND.if_lost,
    })
}

/// Largest file of paired phones: a few hundred of them.
const MAX_PHONES_FILE: usize = 4 * 1024 * 1024;
