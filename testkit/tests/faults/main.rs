//! What happens when something breaks in the middle: killed programs, halted programs, a relay that
//! is gone, no file descriptors left. Everything comes back by itself and nothing is half done.
//!
//! `VMUX_ROUNDS=300 cargo nextest run -p vmux-testkit --test faults` kills for longer.
#[cfg(test)]
mod files;
#[cfg(test)]
mod halts;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod pairings;

#[cfg(test)]
mod support {
    use std::time::Duration;

    use serde_json::Value;
    use vmux_testkit::{Place, RelayProgram, Server, Workstation, World};

    /// A world whose relay is a program of its own, and a host to log in to.
    pub(crate) struct Rig {
        pub(crate) world: World,
        pub(crate) relay: RelayProgram,
        pub(crate) server: Server,
    }

    impl Rig {
        #[track_caller]
        pub(crate) fn new() -> Self {
            let place = Place::new();
            let relay = RelayProgram::start(place.home("relay"));
            let workstation =
                Workstation::with_relay(place.home("desk"), "workbench", &relay.url());
            let world = World::of(place, workstation, vmux_testkit::KeyKind::Ecdsa);
            let server = world.server("web1");
            Self {
                world,
                relay,
                server,
            }
        }

        /// Everything works, and both logs are whole.
        #[track_caller]
        pub(crate) fn is_sound(&self) {
            self.world.workstation.sees_phones(1);
            self.world.logs_in(self.server.name());
            let status = self.world.workstation.status();
            assert_eq!(status["waiting"], Value::Array(Vec::new()), "{status:#}");
            self.world.workstation.agent(&["log", "--verify"]).ok();
            self.world.phone.run(&["log", "--verify"]).ok();
        }
    }

    /// How often to do something; more by hand than in every run.
    pub(crate) fn rounds(usual: usize) -> usize {
        let more = std::env::var("VMUX_ROUNDS").ok();
        more.and_then(|text| text.parse().ok()).unwrap_or(usual)
    }

    /// Numbers that look random and are the same in every run.
    pub(crate) struct Dice(u64);

    impl Dice {
        pub(crate) const fn new(seed: u64) -> Self {
            Self(seed)
        }

        pub(crate) fn below(&mut self, limit: u64) -> u64 {
            // SplitMix64.
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % limit
        }

        pub(crate) fn pause(&mut self, longest_ms: u64) {
            std::thread::sleep(Duration::from_millis(self.below(longest_ms)));
        }
    }
}
