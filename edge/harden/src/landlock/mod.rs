//! The files, ports and processes that are left within reach (Landlock, Linux 5.13 and later).
//!
//! A rule is about what a path leads to at the moment it is made. So rules name directories where a
//! file is replaced by renaming, and a path that is not there yet is no rule: make it first.
//!
//! Unix sockets with a path stay reachable: Linux refuses them only from 7.1 on, and the desktop's
//! bus is one. A restricted process also sees less of processes outside: their executable and
//! working directory, but not their command line, are hidden from it.

use std::path::PathBuf;

use crate::Protection;
#[cfg(not(target_os = "linux"))]
use crate::What;

/// What a process reaches from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Files and directories it reads.
    pub reads: Vec<PathBuf>,
    /// Directories in which it makes, changes and removes files.
    pub keeps: Vec<PathBuf>,
    /// Directories in which it makes and removes sockets.
    pub listens_in: Vec<PathBuf>,
    /// Devices, or directories of devices, that it writes to.
    pub writes: Vec<PathBuf>,
    /// TCP ports it listens on.
    pub binds: Ports,
    /// TCP ports it connects to.
    pub connects: Ports,
    /// Whether Unix sockets without a path, such as that of an X server, are reached.
    pub abstract_sockets: Within,
}

/// TCP ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// All of them.
    Any,
    /// These. Port 0 stands for one that the system chooses, and is of use for listening only.
    These(Vec<u16>),
}

impl Default for Ports {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// Whether something is within reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Within {
    /// It is not.
    #[default]
    No,
    /// It is.
    Yes,
}

/// Restricts this thread, and the threads and processes it starts from now on, to `reach`. Call it
/// before there are other threads: they keep what they have.
#[cfg(target_os = "linux")]
pub fn restrict_reach(reach: &Reach) -> Protection {
    linux::restrict(reach)
}

/// macOS has no call for it that programs may use.
#[cfg(not(target_os = "linux"))]
pub fn restrict_reach(_: &Reach) -> Protection {
    Protection::off(What::Landlock, "only Linux has it")
}

/// Whether this system would restrict anything.
#[cfg(target_os = "linux")]
pub fn restricts_reach() -> bool {
    linux::is_available()
}

/// Whether this system would restrict anything.
#[cfg(not(target_os = "linux"))]
pub const fn restricts_reach() -> bool {
    false
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::PathBuf;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _,
        LandlockStatus, NetPort, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated,
        RulesetCreatedAttr as _, RulesetError, Scope, make_bitflags, path_beneath_rules,
    };

    use super::{Ports, Reach, Within};
    use crate::{Protection, What};

    pub(super) fn is_available() -> bool {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::Execute)
            .and_then(Ruleset::create)
            .is_ok()
    }

    pub(super) fn restrict(reach: &Reach) -> Protection {
        let status = match enforce(reach) {
            Ok(RestrictionStatus { landlock, .. }) => landlock,
            Err(error) => return Protection::off(What::Landlock, error),
        };
        match status {
            LandlockStatus::NotEnabled => Protection::off(What::Landlock, NOT_ENABLED),
            LandlockStatus::NotImplemented => Protection::off(What::Landlock, NOT_IMPLEMENTED),
            LandlockStatus::Available { effective_abi, .. } => {
                Protection::on_with(What::Landlock, note(effective_abi))
            }
        }
    }

    /// What the kernel understands of it, and what it does not yet.
    pub(super) fn note(abi: ABI) -> String {
        let missing: Vec<_> = SINCE
            .iter()
            .filter(|(since, _)| abi < *since)
            .map(|(_, what)| *what)
            .collect();
        if missing.is_empty() {
            format!("ABI {abi}")
        } else {
            format!("ABI {abi}, without {}", missing.join(", "))
        }
    }

    fn enforce(reach: &Reach) -> Result<RestrictionStatus, RulesetError> {
        let Reach {
            reads,
            keeps,
            listens_in,
            writes,
            binds,
            connects,
            abstract_sockets,
        } = reach;
        let mut rules = Ruleset::default()
            .handle_access(AccessFs::from_all(HANDLED))?
            .scope(Scope::Signal)?;
        if *abstract_sockets == Within::No {
            rules = rules.scope(Scope::AbstractUnixSocket)?;
        }
        for (right, ports) in both(binds, connects) {
            if matches!(ports, Ports::These(_)) {
                rules = rules.handle_access(right)?;
            }
        }
        let mut rules = rules.create()?;
        for (paths, rights) in [
            (reads, READ),
            (keeps, KEEP),
            (listens_in, LISTEN),
            (writes, WRITE),
        ] {
            rules = add_paths(rules, paths, rights)?;
        }
        for (right, ports) in both(binds, connects) {
            if let Ports::These(ports) = ports {
                let ports = ports.iter().map(|port| Ok(NetPort::new(*port, right)));
                rules = rules.add_rules::<_, _, _, RulesetError>(ports)?;
            }
        }
        rules.restrict_self()
    }

    fn both<'p>(binds: &'p Ports, connects: &'p Ports) -> [(AccessNet, &'p Ports); 2] {
        [
            (AccessNet::BindTcp, binds),
            (AccessNet::ConnectTcp, connects),
        ]
    }

    /// What is not there is left out, and so stays out of reach.
    fn add_paths(
        rules: RulesetCreated,
        paths: &[PathBuf],
        rights: BitFlags<AccessFs>,
    ) -> Result<RulesetCreated, RulesetError> {
        rules.add_rules(path_beneath_rules(paths, rights))
    }

    /// The rights on files that are given or refused. Later ones are left to everybody until they
    /// are decided on.
    const HANDLED: ABI = ABI::V5;

    const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    const KEEP: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
        ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSock
        | RemoveFile | RemoveDir | Refer
    });
    const LISTEN: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadDir | MakeSock | RemoveFile});
    const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{WriteFile | IoctlDev});

    /// What came with which version (landlock(7)).
    const SINCE: [(ABI, &str); 4] = [
        (ABI::V3, "shortening files"),
        (ABI::V4, "TCP ports"),
        (ABI::V5, "controls of devices"),
        (ABI::V6, "signals and abstract sockets"),
    ];

    const NOT_ENABLED: &str = "it is not enabled (kernel parameter lsm=)";
    const NOT_IMPLEMENTED: &str = "this kernel has none; Linux 5.13 and later do";
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
