//! The relay as its ends see it: real sockets, a client that is not ours.
//!
//! One program, so that it is linked once.

#[cfg(test)]
mod http;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod meeting;
#[cfg(test)]
mod program;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod support;
#[cfg(test)]
mod vectors;
