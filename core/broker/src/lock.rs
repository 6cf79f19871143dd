//! Locking the agent with a passphrase (RFC 9987 section 5.7).
//!
//! The passphrase is stretched with a memory-hard function, outside of the broker so that nobody
//! waits for it. Each wrong one makes the next attempt wait longer; only whoever attempts waits.
use alloc::vec::Vec;
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq as _;
use vmux_proto::Now;
use zeroize::Zeroizing;

/// A passphrase on its way to being stretched.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes a copy, wiped on drop.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Whether it can lock anything: not empty, and not so long that waiting ones take much memory.
    pub fn is_usable(&self) -> bool {
        (1..=MAX_PASSPHRASE).contains(&self.0.len())
    }
}

impl core::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Random bytes of one lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

/// A stretched passphrase.
pub struct Stretched(Zeroizing<[u8; 32]>);

impl core::fmt::Debug for Stretched {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Stretched(..)")
    }
}

/// What a stretched passphrase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// To lock, with a fresh salt.
    Lock(Salt),
    /// To unlock, with the salt it was locked with.
    Unlock(Salt),
}

impl Job {
    /// The salt to stretch with.
    pub const fn salt(self) -> Salt {
        match self {
            Self::Lock(salt) | Self::Unlock(salt) => salt,
        }
    }
}

/// Stretches a passphrase with Argon2id: 19 MiB, two passes, the first choice of the OWASP list.
/// Takes some 30 ms and belongs on a thread of its own. `None` if memory is short.
pub fn stretch(passphrase: &Passphrase, salt: Salt) -> Option<Stretched> {
    const MEMORY_KIB: u32 = 19 * 1024;
    const PASSES: u32 = 2;
    let parameters = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let mut tag = Zeroizing::new([0; 32]);
    argon2
        .hash_password_into(&passphrase.0, &salt.0, &mut *tag)
        .ok()?;
    Some(Stretched(tag))
}

/// Whether the agent is locked, and what opens it.
#[derive(Debug, Default)]
pub(crate) struct Lock {
    locked: Option<(Salt, Stretched)>,
    failures: u32,
    not_before: u64,
}

impl Lock {
    pub(crate) const fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    pub(crate) fn salt(&self) -> Option<Salt> {
        self.locked.as_ref().map(|(salt, _)| *salt)
    }

    /// When the next attempt may be judged, in milliseconds of uptime.
    pub(crate) const fn not_before(&self) -> u64 {
        self.not_before
    }

    /// Locks; false if it was locked already.
    pub(crate) fn lock(&mut self, salt: Salt, tag: Stretched) -> bool {
        if self.locked.is_some() {
            return false;
        }
        self.locked = Some((salt, tag));
        self.failures = 0;
        true
    }

    /// Unlocks if the passphrase is the one it was locked with.
    pub(crate) fn unlock(&mut self, salt: Salt, tag: &Stretched, now: Now) -> bool {
        let good = self
            .locked
            .as_ref()
            .is_some_and(|(own, expected)| *own == salt && bool::from(expected.0.ct_eq(&*tag.0)));
        if good {
            self.locked = None;
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            let pause = u64::from(self.failures)
                .saturating_mul(PAUSE_STEP_MS)
                .min(MAX_PAUSE_MS);
            self.not_before = now.uptime.saturating_add(pause);
        }
        good
    }
}

/// Longest passphrase, in bytes.
const MAX_PASSPHRASE: usize = 1024;

/// The wait after a wrong passphrase grows by this; OpenSSH's agent uses the same step, but makes
/// every client wait.
const PAUSE_STEP_MS: u64 = 100;

/// The longest wait after a wrong passphrase, as in OpenSSH's agent.
const MAX_PAUSE_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt([7; 16]);

    fn tag(text: &str) -> Stretched {
        stretch(&Passphrase::new(text.as_bytes()), SALT).unwrap()
    }

    #[test]
    fn the_same_passphrase_unlocks_and_one_letter_more_does_not() {
        let mut lock = Lock::default();
        let now = Now {
            uptime: 1000,
            wall: 0,
        };
        assert!(lock.lock(SALT, tag("open")));
        assert!(!lock.unlock(SALT, &tag("opens"), now));
        assert!(lock.is_locked());
        assert_eq!(lock.not_before(), 1100);
        assert!(!lock.unlock(SALT, &tag("ope"), now));
        assert_eq!(lock.not_before(), 1200);
        assert!(lock.unlock(SALT, &tag("open"), now));
        assert!(!lock.is_locked());
    }

    #[test]
    fn the_pause_after_a_wrong_passphrase_grows_to_ten_seconds_and_no_further() {
        let (mut lock, wrong) = (Lock::default(), tag("wrong"));
        assert!(lock.lock(SALT, tag("right")));
        for count in 1..=150 {
            let now = Now {
                uptime: count * 20_000,
                wall: 0,
            };
            assert!(!lock.unlock(SALT, &wrong, now));
            assert_eq!(lock.not_before() - now.uptime, (count * 100).min(10_000));
        }
        assert!(lock.unlock(SALT, &tag("right"), Now::default()));
        assert!(lock.lock(SALT, tag("again")));
        assert!(!lock.unlock(SALT, &wrong, Now::default()));
        assert_eq!(lock.not_before(), 100, "the right one starts it anew");
    }

    #[test]
    fn a_second_lock_does_not_replace_the_first() {
        let mut lock = Lock::default();
        assert!(lock.lock(SALT, tag("one")));
        assert!(!lock.lock(SALT, tag("two")));
        assert!(lock.unlock(SALT, &tag("one"), Now::default()));
    }

    #[test]
    fn passphrases_do_not_print() {
        assert_eq!(
            std::format!("{:?}", Passphrase::new(b"secret")),
            "Passphrase(..)"
        );
    }
}
