//! `vmux-agent run`: the daemon for a service manager.
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::config::Config;
use crate::daemon::{Daemon, Setting};

/// Runs until SIGTERM, SIGINT or SIGHUP.
pub(super) async fn run(setting: &Setting, config: &Config) -> Result<(), Failure> {
    let daemon = start(setting, config).await?;
    stop_signal().await?;
    daemon.stop().await;
    Ok(())
}

pub(super) async fn start(setting: &Setting, config: &Config) -> Result<Daemon, Failure> {
    Daemon::start(setting, config).await.map_err(|failed| {
        let hint = failed.hint();
        Failure::new(failed, hint)
    })
}

/// Returns when the system or the person wants the program to end.
pub(super) async fn stop_signal() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
