//! Asks the running daemon over its control socket.
use std::path::Path;

use tokio::net::UnixStream;
use vmux_host::paths;

use super::{Failure, status};
use crate::control::{Fault, Reply, Report, Request, Wire, WireBroken};

/// Connects and makes one request.
pub(super) async fn ask(state_dir: &Path, request: &Request) -> Result<Wire, Failure> {
    let path = paths::control_socket(state_dir);
    let stream = UnixStream::connect(&path).await.map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                format!("no agent is running on {}", state_dir.display())
            }
            _ => format!("the agent cannot be reached at {}: {error}", path.display()),
        };
        Failure::new(
            what,
            "start it with `vmux-agent up`, or name another --state-dir",
        )
        .with_status(status::NOT_RUNNING)
    })?;
    let mut wire = Wire::new(stream);
    wire.send(request).await.map_err(broken)?;
    Ok(wire)
}

/// The next reply; a failure becomes one.
pub(super) async fn reply(wire: &mut Wire) -> Result<Reply, Failure> {
    match wire.receive().await.map_err(broken)? {
        Reply::Failed {
            reason,
            hint,
            fault,
        } => Err(Failure::new(reason, hint).with_status(match fault {
            Fault::Failure => status::FAILED,
            Fault::Refusal => status::REFUSED,
        })),
        reply @ (Reply::Status(_)
        | Reply::Told { .. }
        | Reply::Offer { .. }
        | Reply::Code { .. }
        | Reply::Done { .. }
        | Reply::Cancelled { .. }
        | Reply::Resumed { .. }
        | Reply::Traces { .. }
        | Reply::Metrics { .. }) => Ok(reply),
    }
}

/// The agent at this moment.
pub(super) async fn report(state_dir: &Path) -> Result<Report, Failure> {
    let mut wire = ask(state_dir, &Request::Status).await?;
    match reply(&mut wire).await? {
        Reply::Status(report) => Ok(report),
        Reply::Told { .. }
        | Reply::Offer { .. }
        | Reply::Code { .. }
        | Reply::Done { .. }
        | Reply::Cancelled { .. }
        | Reply::Resumed { .. }
        | Reply::Traces { .. }
        | Reply::Metrics { .. }
        | Reply::Failed { .. } => Err(broken(WireBroken::NotUnderstood)),
    }
}

pub(super) fn broken(broken: WireBroken) -> Failure {
    let status = match broken {
        WireBroken::Ended | WireBroken::System(_) => status::NOT_RUNNING,
        WireBroken::NotUnderstood => status::FAILED,
    };
    Failure::new(broken, "see `vmux-agent status`").with_status(status)
}
