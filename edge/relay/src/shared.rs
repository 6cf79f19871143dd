//! What all connections of a relay share: the meetings behind one lock, and how to wake an end.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use vmux_proto::mailbox::{CloseReason, Seat};

use crate::gate::{Gate, Network, TooMany};
use crate::limits::Limits;
use crate::meetings::{Counts, EndId, Input, Meetings, Output};
use crate::millis::Millis;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    /// Every connection's task.
    pub(crate) tasks: TaskTracker,
    /// Connections turned away before they became an end.
    pub(crate) refused: AtomicU64,
    started: Instant,
    next_end: AtomicU64,
    gate: Mutex<Gate>,
    ends: Mutex<Ends>,
}

/// One connection's place among those of its address; left when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
    network: Network,
}

#[derive(Debug)]
struct Ends {
    meetings: Meetings,
    wakers: BTreeMap<EndId, Arc<Notify>>,
}

impl Shared {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            tasks: TaskTracker::new(),
            refused: AtomicU64::new(0),
            started: Instant::now(),
            next_end: AtomicU64::new(0),
            gate: Mutex::new(Gate::new(&limits)),
            ends: Mutex::new(Ends {
                meetings: Meetings::new(limits.clone()),
                wakers: BTreeMap::new(),
            }),
            limits,
        }
    }

    /// Counts a connection of `address`.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, TooMany> {
        let network = Network::from(address);
        let entered = lock(&self.gate).enter(network, self.now());
        if entered.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        entered.map(|()| Admission {
            shared: Arc::clone(self),
            network,
        })
    }

    /// Seats a new end.
    pub(crate) fn arrive(&self, seat: Seat) -> (EndId, Arc<Notify>) {
        let end = EndId(self.next_end.fetch_add(1, Ordering::Relaxed));
        let waker = Arc::new(Notify::new());
        lock(&self.ends).wakers.insert(end, Arc::clone(&waker));
        self.handle(Input::Arrived(end, seat));
        (end, waker)
    }

    /// Forgets an end.
    pub(crate) fn leave(&self, end: EndId) {
        self.handle(Input::Gone(end));
        lock(&self.ends).wakers.remove(&end);
    }

    /// Tells the meetings what happened and wakes whom it concerns.
    pub(crate) fn handle(&self, input: Input) {
        let now = self.now();
        let mut ends = lock(&self.ends);
        ends.meetings.handle(input, now);
        while let Some(end) = ends.meetings.woken() {
            if let Some(waker) = ends.wakers.get(&end) {
                waker.notify_one();
            }
        }
    }

    /// What `end` does next.
    pub(crate) fn poll(&self, end: EndId) -> Option<Output> {
        let now = self.now();
        lock(&self.ends).meetings.poll(end, now)
    }

    /// Why `end` lost its seat, if it did.
    pub(crate) fn closed(&self, end: EndId) -> Option<CloseReason> {
        lock(&self.ends).meetings.closed(end)
    }

    /// When `end` wants its next tick.
    pub(crate) fn deadline(&self, end: EndId) -> Option<Instant> {
        let Millis(deadline) = lock(&self.ends).meetings.deadline(end)?;
        self.started.checked_add(Duration::from_millis(deadline))
    }

    pub(crate) fn counts(&self) -> Counts {
        lock(&self.ends).meetings.counts()
    }

    fn now(&self) -> Millis {
        Millis(0).after(self.started.elapsed())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        lock(&self.shared.gate).leave(self.network);
    }
}

/// A task that panicked while it held the lock takes only its own connection with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
