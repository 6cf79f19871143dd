//! Ports on loopback that no other test uses.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that is free, and reserved until this is dropped.
///
/// Below the range that the system hands out, so that no connection takes it meanwhile; the lock of
/// a file keeps other test processes away.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Finds one.
    pub fn reserve() -> Self {
        let dir = std::env::temp_dir().join(format!(
            "vmux-test-ports-{}",
            rustix::process::geteuid().as_raw()
        ));
        fs::create_dir_all(&dir).expect("a directory for the locks of ports");
        loop {
            let own = u16::try_from(std::process::id() % u32::from(RANGE)).unwrap_or(0);
            let turn = NEXT.fetch_add(STRIDE, Ordering::Relaxed);
            let number = FIRST + own.wrapping_add(turn) % RANGE;
            let lock = File::create(dir.join(number.to_string())).expect("a lock for a port");
            if lock.try_lock().is_ok() && TcpListener::bind(loopback(number)).is_ok() {
                return Self {
                    number,
                    _lock: lock,
                };
            }
        }
    }

    /// Its number.
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        loopback(self.number)
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

static NEXT: AtomicU16 = AtomicU16::new(0);

const FIRST: u16 = 10_000;
const RANGE: u16 = 20_000;
/// Neighbours by process id do not try the same ports.
const STRIDE: u16 = 331;
