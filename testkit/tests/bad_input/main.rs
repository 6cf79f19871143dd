//! What must be refused, how it is said, and what must stay untouched.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

mod names;
mod pairing;
mod places;
mod socket;
mod state;
