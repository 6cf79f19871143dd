//! The key that an agent makes for itself, for as long as a session certificate on it lives.
use crate::key::PublicKey;
use alloc::vec::Vec;

/// A key pair of the agent's own: made in its memory, never stored, never an identity (I1). The
/// arithmetic is supplied by whoever runs the core, as with [`Verifier`](crate::signature::Verifier).
pub trait EphemeralKey {
    /// The public half.
    fn public(&self) -> &PublicKey;

    /// The signature blob over `message`.
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}
