//! Both ends against each other, and against the vectors of the specification.

mod channel;
mod handshake;
mod pairing;
pub(crate) mod support;
mod vectors;
