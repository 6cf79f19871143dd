//! The socket clients connect to, made so that nobody else can get in its place (I18).
//!
//! Refused are a directory that others own or may write to, anything that stands in the socket's
//! place and is not a dead socket of ours, and a second agent on the same path. The order closes the
//! races: a lock file beside the socket is held for as long as the agent lives, so two agents never
//! tidy up at once; what looks dead is asked before it is removed; and the new socket has its mode
//! before it has a name. Everything is checked through the opened directory, and again afterwards.
//!
//! Only processes of our own user are served. Root could connect; it gains nothing that it could not
//! take anyway, and a mistake of a system service is kept out.

mod place;
mod refused;
#[cfg(test)]
mod tests;

pub use refused::SocketRefused;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};

use crate::provenance::Peer;
use place::{FileId, Place};

/// What to do about a directory that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Refuse; for a path the person named.
    Refuse,
    /// Make it, for its owner alone; for `~/.ssh`.
    Make,
}

/// The place of a socket, held for this process, where nothing listens yet. A restricted process can
/// make the socket there, but could not take the lock.
#[derive(Debug)]
pub struct Claim {
    place: Place,
    lock: File,
}

/// A socket that belongs to this process until it is dropped, and is removed then.
#[derive(Debug)]
pub struct AgentSocket {
    listener: UnixListener,
    place: Place,
    /// Which file it is, so that another one in its place is left alone.
    file: FileId,
    // Held, never read: closing it lets the next agent in. Dropped after the socket is removed.
    _lock: File,
}

impl Claim {
    /// Takes the place.
    pub fn take(path: &Path, missing: IfMissing) -> Result<Self, SocketRefused> {
        let place = Place::open(path, missing)?;
        let lock = place.lock()?;
        Ok(Self { place, lock })
    }

    /// Makes the socket. Call it in the runtime that will accept from it.
    pub async fn listen(self) -> Result<AgentSocket, SocketRefused> {
        let Self { place, lock } = self;
        if let Some(stale) = place.look()? {
            place.ask().await?;
            place.remove(&stale)?;
        }
        let listener = listen(&place.path).map_err(|error| place.failed("listen", error))?;
        let file = place.finish()?;
        let listener =
            UnixListener::from_std(listener).map_err(|error| place.failed("listen", error))?;
        Ok(AgentSocket {
            listener,
            place,
            file,
            _lock: lock,
        })
    }
}

impl AgentSocket {
    /// The next connection of a process of our own user. Others are closed and logged. An error is
    /// about this one attempt; try again.
    pub async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let peer = Peer::of(&stream)?;
            match admission(peer.uid(), geteuid().as_raw()) {
                Admission::Own => return Ok((stream, peer)),
                Admission::Foreign => {
                    tracing::warn!(uid = peer.uid(), pid = peer.pid(), "another user connected");
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.place.path
    }
}

impl Drop for AgentSocket {
    fn drop(&mut self) {
        if let Err(error) = self.place.remove(&self.file) {
            tracing::debug!(%error, "the socket stays behind");
        }
    }
}

/// Whose process connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Foreign,
    Own,
}

fn admission(peer: u32, own: u32) -> Admission {
    if peer == own {
        Admission::Own
    } else {
        Admission::Foreign
    }
}

/// Binds and listens. Linux gives the new file the mode its socket had before; so there is no
/// moment, and no change of the umask, in which another thread's files are concerned.
#[cfg(target_os = "linux")]
fn listen(path: &Path) -> io::Result<StdListener> {
    use rustix::fs::{Mode, fchmod};
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Binds and listens with a umask that leaves the file to its owner. The umask belongs to the whole
/// process; the agent makes its sockets before it makes anything else.
#[cfg(not(target_os = "linux"))]
fn listen(path: &Path) -> io::Result<StdListener> {
    use rustix::fs::Mode;
    let before = rustix::process::umask(Mode::XUSR | Mode::RWXG | Mode::RWXO);
    let listener = StdListener::bind(path);
    rustix::process::umask(before);
    listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
}

/// Connections that wait to be accepted; clients beyond that wait or are told to try again.
#[cfg(target_os = "linux")]
const BACKLOG: i32 = 128;
