//! Attempts to lock and unlock the agent, one after another.
//!
//! Many at once gain nothing over the pause that follows a wrong passphrase, and whoever hangs up
//! takes the attempt along: nothing is unlocked when nobody is there any more.
use crate::conversation::ClientId;
use crate::exchange::Locking;
use crate::lock::{Job, Lock, Passphrase, Salt, Stretched};
use alloc::collections::VecDeque;
use vmux_proto::Now;

/// The lock and the attempts that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    lock: Lock,
    waiting: VecDeque<Attempt>,
    /// Whether a passphrase is being stretched.
    under_way: bool,
}

#[derive(Debug)]
struct Attempt {
    client: ClientId,
    passphrase: Passphrase,
    /// The salt, if this is to lock.
    salt: Option<Salt>,
}

/// Attempts that wait; more are refused at once.
const MAX_WAITING: usize = 8;

impl Attempts {
    pub(crate) const fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }

    /// Queues an attempt to lock; false if it cannot come to anything.
    pub(crate) fn lock_later(
        &mut self,
        client: ClientId,
        passphrase: Passphrase,
        salt: Salt,
    ) -> bool {
        !self.is_locked() && self.queue(client, passphrase, Some(salt))
    }

    /// Queues an attempt to unlock; false if it cannot come to anything.
    pub(crate) fn unlock_later(&mut self, client: ClientId, passphrase: Passphrase) -> bool {
        self.is_locked() && self.queue(client, passphrase, None)
    }

    fn queue(&mut self, client: ClientId, passphrase: Passphrase, salt: Option<Salt>) -> bool {
        let takes = passphrase.is_usable() && self.waiting.len() < MAX_WAITING;
        if takes {
            self.waiting.push_back(Attempt {
                client,
                passphrase,
                salt,
            });
        }
        takes
    }

    /// Forgets the attempt of a client that hung up.
    pub(crate) fn gone(&mut self, client: ClientId) {
        self.waiting.retain(|attempt| attempt.client != client);
    }

    /// When the next attempt may begin, in milliseconds of uptime.
    pub(crate) fn due(&self) -> Option<u64> {
        let next = self.waiting.front().filter(|_| !self.under_way);
        next.map(|_| self.lock.not_before())
    }

    /// The next attempt whose time has come: whose it is, and what to stretch for it. Nothing is to
    /// be stretched if the agent was unlocked meanwhile.
    pub(crate) fn next(&mut self, now: Now) -> Option<(ClientId, Option<(Passphrase, Job)>)> {
        if self.due().is_none_or(|due| now.uptime < due) {
            return None;
        }
        let Attempt {
            client,
            passphrase,
            salt,
        } = self.waiting.pop_front()?;
        let job = match salt {
            Some(salt) => Some(Job::Lock(salt)),
            None => self.lock.salt().map(Job::Unlock),
        };
        self.under_way = job.is_some();
        Some((client, job.map(|job| (passphrase, job))))
    }

    /// What a stretched passphrase does; none if there was not enough memory, or the agent was
    /// locked meanwhile.
    pub(crate) fn done(&mut self, job: Job, tag: Option<Stretched>, now: Now) -> Option<Locking> {
        self.under_way = false;
        match (job, tag?) {
            (Job::Lock(salt), tag) => self.lock.lock(salt, tag).then_some(Locking::Closed),
            (Job::Unlock(salt), tag) => Some(if self.lock.unlock(salt, &tag, now) {
                Locking::Opened
            } else {
                Locking::WrongPassphrase
            }),
        }
    }
}
