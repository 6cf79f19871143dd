//! The one source of randomness: the operating system's.

/// The operating system gave no random bytes; nothing secret may be made without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

/// Fresh random bytes.
pub fn fill<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks for randomness"
    )]
    getrandom::fill(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fillings_differ_and_reach_the_last_byte() {
        let samples: Vec<[u8; 32]> = (0..64).map(|_| fill().unwrap()).collect();
        assert_ne!(samples[0], samples[1]);
        for at in 0..32 {
            assert!(
                samples.iter().any(|sample| sample[at] != 0),
                "byte {at} is never set"
            );
        }
    }
}
