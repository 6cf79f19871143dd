//! An end's seat at a mailbox of a relay, held through network changes, sleep and restarts of the
//! relay.
//!
//! [`occupy`] gives a task to run, a stream of what happens, in order and bounded, and a handle to
//! send with. The rules of the wire are in `docs/spec/relay.md`. What arrives are sealed bytes of
//! whoever sits across; nothing here opens them or believes them. A relay that breaks the rules is
//! left and tried again later, as one that is down.

mod address;
mod backoff;
mod dial;
mod down;
mod seat;
mod trust;

pub use address::{AddressRejected, RelayAddress};
pub use down::DownReason;
pub use seat::{MeetingId, NotSent, SeatEvent, SeatHandle, occupy};
pub use trust::{BadAuthorities, Trust};

#[cfg(test)]
mod tests;
