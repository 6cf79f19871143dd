//! `vmux-agent run`: the daemon for a service manager.
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::config::Config;
use crate::daemon::{Daemon, Setting};
use crate::reserved::Reserved;
use crate::sandbox;

/// A daemon that is restricted to what it needs and has not started yet.
#[derive(Debug)]
pub(super) struct Closed {
    setting: Setting,
    config: Config,
    reserved: Reserved,
}

impl Closed {
    /// Takes hold of what the daemon needs, then restricts this process. Call it before there are
    /// other threads.
    pub(super) fn new(setting: Setting, config: Config) -> Result<Self, Failure> {
        let mut reserved = Reserved::take(&setting)?;
        sandbox::close(&mut reserved, &setting, &config);
        Ok(Self {
            setting,
            config,
            reserved,
        })
    }

    /// Runs until SIGTERM, SIGINT or SIGHUP.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let stopped = stop_signal()?;
        let daemon = Daemon::start(self.reserved, &self.setting, &self.config).await?;
        stopped.await;
        daemon.stop().await;
        Ok(())
    }
}

/// Ends when the system or the person wants the program to end. Listens from the call on, not from
/// the first poll: whoever sees a socket may end the program.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}
