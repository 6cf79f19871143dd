//! The parsers and checks against the vectors of `docs/spec/vectors/`, which real OpenSSH made, and
//! against hosts made here, for what OpenSSH cannot be made to do.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod bindings;
#[cfg(test)]
mod destinations;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod support;
