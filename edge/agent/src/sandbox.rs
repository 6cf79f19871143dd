//! What the daemon keeps when everything else is taken from it (docs/decisions/0007-sandbox.md).

use std::fs;
use std::path::{Path, PathBuf};

use vmux_broker::PhoneRecord;
use vmux_harden::{
    Ports, Protection, Reach, What, Within, Work, lock_memory, protect_process, restrict_calls,
    restrict_reach,
};
use vmux_host::relay::RelayAddress;

use crate::config::Config;
use crate::daemon::{OWN_RELAY, Setting};
use crate::reserved::Reserved;

/// The verb that makes this program look at processes for the daemon.
#[cfg(target_os = "linux")]
pub(crate) const LOOK: &str = "look";

/// Restricts this process to what the daemon needs. Call it before there are other threads.
pub(crate) fn close(reserved: &mut Reserved, setting: &Setting, config: &Config) {
    let mut protections = Vec::from(protect_process());
    protections.push(lock_memory());
    // First, because a restricted process can start no other.
    let landlock = match look_apart(reserved) {
        Ok(()) => restrict_reach(&reach(setting, config, &reserved.phones)),
        Err(error) => {
            let why = format!("the process that looks at clients does not start: {error}");
            Protection::off(What::Landlock, why)
        }
    };
    protections.push(landlock);
    protections.push(restrict_calls(Work::Serve));
    reserved.protections = protections;
}

/// The same for `up`, which starts other programs: a signer has files and a screen of its own.
pub(crate) fn close_for_programs(reserved: &mut Reserved) {
    let mut protections = Vec::from(protect_process());
    protections.push(lock_memory());
    for what in [What::Landlock, What::Seccomp] {
        protections.push(Protection::off(what, FOR_PROGRAMS));
    }
    reserved.protections = protections;
}

const FOR_PROGRAMS: &str = "`up` may start a signer; `run` has it";

#[cfg(target_os = "linux")]
fn look_apart(reserved: &mut Reserved) -> std::io::Result<()> {
    use crate::provenance::apart::Started;
    use crate::reserved::Looks;

    if vmux_harden::restricts_reach() {
        reserved.looks = Looks::Apart(Started::new(LOOK)?);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "starting a process can fail")]
const fn look_apart(_: &mut Reserved) -> std::io::Result<()> {
    Ok(())
}

/// Looks at processes for the daemon that started this one.
#[cfg(target_os = "linux")]
pub(crate) fn look() {
    // Nobody is there to tell; the daemon tells of itself.
    drop([restrict_calls(Work::Read)]);
    crate::provenance::apart::serve(std::io::stdin().lock(), std::io::stdout());
}

fn reach(setting: &Setting, config: &Config, phones: &[PhoneRecord]) -> Reach {
    let mut reads: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    // The directory, because ssh replaces known_hosts by renaming.
    let own = setting.home.join(".ssh");
    reads.extend(linked_files(&own));
    reads.push(own);
    let socket = setting.socket.0.parent().unwrap_or(Path::new("/"));
    Reach {
        reads,
        keeps: vec![setting.state_dir.clone()],
        listens_in: vec![socket.to_owned()],
        writes: terminals(),
        binds: binds(config),
        connects: connects(config, phones),
        abstract_sockets: desktop_bus(std::env::var_os("DBUS_SESSION_BUS_ADDRESS").as_deref()),
    }
}

/// What the files of known hosts lead to if they are links, as those of managed home directories are.
/// A list of revoked keys must not vanish because it lies elsewhere.
fn linked_files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    ["known_hosts", "known_hosts2"]
        .map(|name| dir.join(name))
        .into_iter()
        .filter(|path| path.is_symlink())
        .filter_map(|path| path.canonicalize().ok())
}

fn binds(config: &Config) -> Ports {
    let own = config.relay.listen.unwrap_or(OWN_RELAY).port();
    match &config.relay.url {
        Some(_) => Ports::These(Vec::new()),
        None => Ports::These(vec![own]),
    }
}

/// The relay of new phones, and those of the phones there are.
fn connects(config: &Config, phones: &[PhoneRecord]) -> Ports {
    let own = config.relay.listen.unwrap_or(OWN_RELAY).port();
    let mut ports = Vec::new();
    match &config.relay.url {
        // A port that the system chooses cannot be named in advance.
        None if own == 0 => return Ports::Any,
        None => ports.push(own),
        Some(_) => {}
    }
    let urls = phones.iter().map(|phone| &phone.relay);
    for address in urls
        .chain(&config.relay.url)
        .filter_map(|url| RelayAddress::parse(url).ok())
    {
        ports.push(address.port());
        if !address.is_loopback() {
            // An answer too long for UDP is asked for again.
            ports.push(DNS);
        }
    }
    Ports::These(ports)
}

/// Old desktops have the bus, where notices are shown, at a socket without a path.
fn desktop_bus(address: Option<&std::ffi::OsStr>) -> Within {
    let is_abstract =
        address.is_some_and(|address| address.to_string_lossy().contains("unix:abstract="));
    if is_abstract { Within::Yes } else { Within::No }
}

/// Where notices to clients are written.
fn terminals() -> Vec<PathBuf> {
    let names = fs::read_dir("/dev").into_iter().flatten().flatten();
    let consoles = names
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().starts_with("/dev/tty"));
    [PathBuf::from("/dev/pts"), PathBuf::from("/dev/null")]
        .into_iter()
        .chain(consoles)
        .collect()
}

/// What the C library and others read of the system: libraries, the resolver's files, time zones,
/// which host keys are known. Nothing in it is private to the user.
const SYSTEM: [&str; 17] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/nscd",
    "/dev/null",
    "/dev/urandom",
    "/dev/random",
];

const DNS: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Relay;

    fn config(url: Option<&str>, listen: Option<&str>) -> Config {
        Config {
            relay: Relay {
                url: url.map(str::to_owned),
                listen: listen.map(|address| address.parse().unwrap()),
            },
            ..Config::default()
        }
    }

    #[test]
    fn the_own_relays_port_is_all_there_is() {
        let config = config(None, Some("127.0.0.1:7000"));
        assert_eq!(binds(&config), Ports::These(vec![7000]));
        assert_eq!(connects(&config, &[]), Ports::These(vec![7000]));
    }

    #[test]
    fn a_relay_elsewhere_is_connected_to_and_nothing_listens() {
        let config = config(Some("https://relay.example:8443"), None);
        assert_eq!(binds(&config), Ports::These(Vec::new()));
        assert_eq!(connects(&config, &[]), Ports::These(vec![8443, DNS]));
    }

    #[test]
    fn a_port_that_the_system_chooses_leaves_connecting_open() {
        let config = config(None, Some("127.0.0.1:0"));
        assert_eq!(binds(&config), Ports::These(vec![0]));
        assert_eq!(connects(&config, &[]), Ports::Any);
    }

    #[test]
    fn nameless_sockets_are_within_reach_only_of_a_desktop_that_has_its_bus_there() {
        let at = |address: &str| desktop_bus(Some(address.as_ref()));
        assert_eq!(at("unix:path=/run/user/1000/bus"), Within::No);
        assert_eq!(at("unix:abstract=/tmp/dbus-x,guid=1"), Within::Yes);
        assert_eq!(desktop_bus(None), Within::No);
    }
}
