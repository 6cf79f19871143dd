//! How many connections one address may open, and how quickly.
//!
//! An IPv6 host chooses among 2^64 addresses, so the whole /64 network counts as one. What is
//! remembered of an address is forgotten once it makes no difference.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::bucket::{Bucket, Rate};
use crate::limits::Limits;
use crate::millis::Millis;

/// Who is counted together: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network(IpAddr);

/// This address has too many connections open, or opens them too quickly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Counts connections by address.
#[derive(Debug)]
pub(crate) struct Gate {
    most_open: u32,
    arrivals: Rate,
    visitors: BTreeMap<Network, Visitor>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Visitor {
    open: u32,
    arrivals: Bucket,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            most_open: limits.connections_per_address,
            arrivals: Rate {
                per_second: limits.arrivals_per_second,
                burst: limits.arrivals_burst,
            },
            visitors: BTreeMap::new(),
            sweep_at: FIRST_SWEEP,
        }
    }

    /// Counts a connection that arrives; who gets `Ok` calls [`Gate::leave`] at its end.
    pub(crate) fn enter(&mut self, network: Network, now: Millis) -> Result<(), TooMany> {
        if self.visitors.len() >= self.sweep_at {
            self.sweep(now);
        }
        if self.visitors.len() >= MOST_VISITORS && !self.visitors.contains_key(&network) {
            return Err(TooMany);
        }
        let visitor = self.visitors.entry(network).or_insert_with(|| Visitor {
            open: 0,
            arrivals: Bucket::full(self.arrivals, now),
        });
        if visitor.open >= self.most_open {
            return Err(TooMany);
        }
        visitor
            .arrivals
            .take(1, self.arrivals, now)
            .map_err(|_| TooMany)?;
        visitor.open = visitor.open.saturating_add(1);
        Ok(())
    }

    /// Counts a connection that ended.
    pub(crate) fn leave(&mut self, network: Network) {
        if let Some(visitor) = self.visitors.get_mut(&network) {
            visitor.open = visitor.open.saturating_sub(1);
        }
    }

    /// Forgets who has nothing open and has not arrived lately.
    fn sweep(&mut self, now: Millis) {
        let rate = self.arrivals;
        self.visitors
            .retain(|_, it| it.open > 0 || !it.arrivals.is_full(rate, now));
        self.sweep_at = self
            .visitors
            .len()
            .saturating_mul(2)
            .clamp(FIRST_SWEEP, MOST_VISITORS);
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() & NETWORK_MASK).into()),
        }
    }
}

const NETWORK_MASK: u128 = !0 << 64;
/// Below this many remembered addresses, forgetting is not worth the time.
const FIRST_SWEEP: usize = 1024;
/// Remembered addresses take about 100 bytes each.
const MOST_VISITORS: usize = 262_144;

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(open: u32, burst: u32) -> Gate {
        Gate::new(&Limits {
            connections_per_address: open,
            arrivals_per_second: 1,
            arrivals_burst: burst,
            ..Limits::default()
        })
    }

    fn network(text: &str) -> Network {
        Network::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn as_many_as_allowed_are_open_and_one_more_is_refused() {
        let mut gate = gate(2, 100);
        let home = network("192.0.2.1");
        assert_eq!(gate.enter(home, Millis(0)), Ok(()));
        assert_eq!(gate.enter(home, Millis(0)), Ok(()));
        assert_eq!(gate.enter(home, Millis(0)), Err(TooMany));
        assert_eq!(gate.enter(network("192.0.2.2"), Millis(0)), Ok(()));
        gate.leave(home);
        assert_eq!(gate.enter(home, Millis(0)), Ok(()));
    }

    #[test]
    fn arrivals_beyond_the_burst_wait_for_their_second() {
        let mut gate = gate(100, 2);
        let home = network("192.0.2.1");
        for _ in 0..2 {
            assert_eq!(gate.enter(home, Millis(0)), Ok(()));
            gate.leave(home);
        }
        assert_eq!(gate.enter(home, Millis(999)), Err(TooMany));
        assert_eq!(gate.enter(home, Millis(1000)), Ok(()));
    }

    #[test]
    fn one_ipv6_network_is_one_visitor_and_the_next_is_another() {
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::2"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn addresses_are_forgotten_when_they_make_no_difference() {
        let mut gate = gate(10, 10);
        let staying = network("198.51.100.1");
        assert_eq!(gate.enter(staying, Millis(0)), Ok(()));
        for number in 0..5000_u32 {
            let visitor = Network(IpAddr::V4(std::net::Ipv4Addr::from_bits(number)));
            let now = Millis(u64::from(number) * 100);
            assert_eq!(gate.enter(visitor, now), Ok(()));
            gate.leave(visitor);
        }
        assert!(gate.visitors.len() <= FIRST_SWEEP);
        assert_eq!(gate.visitors.get(&staying).map(|it| it.open), Some(1));
    }
}
