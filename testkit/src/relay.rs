//! `vmux-relay` as a program of its own.

use std::time::Duration;

use crate::place::Home;
use crate::port::Port;
use crate::process::Running;
use crate::programs::product;

/// A relay that can be killed and comes back at the same address.
#[derive(Debug)]
pub struct RelayProgram {
    home: Home,
    port: Port,
    running: Option<Running>,
}

impl RelayProgram {
    /// Starts one.
    #[track_caller]
    pub fn start(home: Home) -> Self {
        let mut relay = Self {
            home,
            port: Port::reserve(),
            running: None,
        };
        relay.restart();
        relay
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Its address.
    pub const fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the relay runs").id()
    }

    /// Ends it without a farewell.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        let listen = self.port.address().to_string();
        let mut command = self.home.command(product("vmux-relay"));
        command.args(["run", "--json", "--listen", &listen]);
        let mut running = self.home.start(&mut command);
        running.event("listening");
        self.running = Some(running);
    }

    /// Ends it as a service manager would.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.signal(rustix::process::Signal::TERM);
            running.finish_within(Duration::from_secs(15)).ok();
        }
    }
}
