//! What most tests need: a workstation and a phone that are paired, and a key.

use crate::pairing::{PairedAs, pair};
use crate::phone::{Decide, KeyKind, Phone};
use crate::place::Place;
use crate::process::Finished;
use crate::server::{HostKey, Server};
use crate::workstation::Workstation;

/// A workstation, a phone with one key, paired and running. The person approves everything.
#[derive(Debug)]
pub struct World {
    /// Where they are. Dropped last: it prints what the programs wrote if the test fails.
    pub workstation: Workstation,
    /// The phone.
    pub phone: Phone,
    /// The public line of its key, which is labelled `phone key`.
    pub key: String,
    /// What they call each other.
    pub paired: PairedAs,
    /// Where everything is.
    pub place: Place,
}

impl World {
    /// One with an ECDSA key.
    #[expect(
        clippy::new_without_default,
        reason = "running programs are no default"
    )]
    #[track_caller]
    pub fn new() -> Self {
        Self::with_key(KeyKind::Ecdsa)
    }

    /// One with a key of this kind.
    #[track_caller]
    pub fn with_key(kind: KeyKind) -> Self {
        let place = Place::new();
        let workstation = Workstation::new(place.home("desk"), "workbench");
        Self::of(place, workstation, kind)
    }

    /// One with this workstation, which does not run yet.
    #[track_caller]
    pub fn of(place: Place, mut workstation: Workstation, kind: KeyKind) -> Self {
        let mut phone = Phone::new(place.home("phone"), "pocket phone");
        let key = phone.new_key("phone key", kind);
        workstation.start();
        let paired = pair(&workstation, &phone);
        phone.start();
        workstation.sees_phones(1);
        Self {
            workstation,
            phone,
            key,
            paired,
            place,
        }
    }

    /// A host that the workstation knows and where the key may log in.
    #[track_caller]
    pub fn server(&self, name: &str) -> Server {
        self.server_with(name, HostKey::Ed25519)
    }

    /// The same with a host key of this kind.
    #[track_caller]
    pub fn server_with(&self, name: &str, kind: HostKey) -> Server {
        let server = Server::start_with(&self.place, name, kind);
        server.allow(&self.key);
        self.workstation.knows(&server);
        server
    }

    /// Logs in and runs a command that must say `here`.
    #[track_caller]
    pub fn logs_in(&self, host: &str) -> Finished {
        let finished = self.workstation.ssh(&[host, "echo", "here"]).ok();
        assert_eq!(finished.out, "here\n", "{finished}");
        finished
    }

    /// How many prompts the person has seen.
    pub fn seen(&self) -> usize {
        self.phone.prompts().len()
    }

    /// From now on the person decides like this.
    pub fn decide(&self, how: Decide) {
        self.phone.decide(how);
    }
}
