use super::*;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use vmux_host::paths::MAX_SOCKET_PATH;

/// A directory fit for a socket, and the socket's path in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("agent.sock");
    (folder, path)
}

async fn bind(path: &Path) -> Result<AgentSocket, SocketRefused> {
    Claim::take(path, IfMissing::Refuse)?.listen().await
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// A socket nobody listens on any more.
fn dead_socket(path: &Path) {
    drop(StdListener::bind(path).unwrap());
    assert!(path.exists());
}

/// A process that is not left behind, however the test ends.
struct Running(Child);

impl Running {
    fn new(command: &mut Command) -> Self {
        Self(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    fn end(&mut self) -> ExitStatus {
        // One that ended by itself cannot be killed, and need not be.
        drop(self.0.kill());
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn is_root() -> bool {
    geteuid().is_root()
}

#[tokio::test]
async fn a_socket_is_its_owners_alone_and_goes_with_the_agent() {
    let (_folder, path) = place();
    let socket = bind(&path).await.unwrap();
    let metadata = fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(mode(&path), 0o600);
    assert_eq!(metadata.uid(), geteuid().as_raw());
    assert_eq!(socket.path(), path);

    let (mut ours, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
    let (stream, peer) = accepted.unwrap();
    assert_eq!(
        (peer.uid(), peer.pid()),
        (geteuid().as_raw(), Some(std::process::id()))
    );
    drop(stream);
    assert_eq!(ours.as_mut().unwrap().read(&mut [0]).await.unwrap(), 0);

    drop(socket);
    assert!(!path.exists());
    bind(&path).await.unwrap();
}

#[test]
fn the_file_is_closed_to_others_from_its_first_moment() {
    let (_folder, path) = place();
    let _listener = listen(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_file_that_is_open_all_the_same_is_closed_and_a_missing_one_noticed() {
    let (_folder, path) = place();
    let checked = Place::open(&path, IfMissing::Refuse).unwrap();
    assert!(matches!(
        checked.finish(),
        Err(SocketRefused::Failed { .. })
    ));
    let _listener = StdListener::bind(&path).unwrap();
    chmod(&path, 0o666);
    checked.finish().unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn a_socket_in_the_place_of_ours_is_left_alone_at_the_end() {
    let (_folder, path) = place();
    let socket = bind(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    dead_socket(&path);
    drop(socket);
    assert!(path.exists());
}

#[tokio::test]
async fn the_longest_path_is_taken_and_one_byte_more_is_refused() {
    let (folder, _) = place();
    let base = folder.path().as_os_str().as_bytes().len() + 1;
    let fits = folder.path().join("x".repeat(MAX_SOCKET_PATH - base));
    drop(bind(&fits).await.unwrap());
    let longer = folder.path().join("x".repeat(MAX_SOCKET_PATH - base + 1));
    let refused = bind(&longer).await.unwrap_err();
    assert!(matches!(refused, SocketRefused::TooLong(_)), "{refused}");
    assert!(refused.hint().contains("shorter"));
}

#[tokio::test]
async fn paths_without_a_name_are_refused() {
    for path in ["/", "..", "x/.."] {
        let refused = bind(Path::new(path)).await.unwrap_err();
        assert!(matches!(refused, SocketRefused::NoName { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_missing_directory_is_made_only_if_asked_for() {
    let (folder, _) = place();
    let path = folder.path().join(".ssh/agent.sock");
    let refused = bind(&path).await.unwrap_err();
    assert!(
        matches!(refused, SocketRefused::NoDirectory { .. }),
        "{refused}"
    );
    assert!(
        refused.hint().starts_with("mkdir -m 700 "),
        "{}",
        refused.hint()
    );
    drop(
        Claim::take(&path, IfMissing::Make)
            .unwrap()
            .listen()
            .await
            .unwrap(),
    );
    assert_eq!(mode(&folder.path().join(".ssh")), 0o700);
    // One that is there stays as it is.
    chmod(&folder.path().join(".ssh"), 0o755);
    drop(
        Claim::take(&path, IfMissing::Make)
            .unwrap()
            .listen()
            .await
            .unwrap(),
    );
    assert_eq!(mode(&folder.path().join(".ssh")), 0o755);
}

#[tokio::test]
async fn a_directory_others_may_write_to_is_refused() {
    let (folder, path) = place();
    for good in [0o700, 0o755, 0o2755, 0o750] {
        chmod(folder.path(), good);
        drop(bind(&path).await.unwrap());
    }
    for bad in [0o770, 0o702, 0o775, 0o1777, 0o2720] {
        chmod(folder.path(), bad);
        let refused = bind(&path).await.unwrap_err();
        assert!(
            matches!(refused, SocketRefused::OpenDirectory { mode, .. } if mode == bad),
            "{refused}"
        );
        assert_eq!(
            refused.hint(),
            format!("chmod go-w {}", folder.path().display())
        );
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_directory_of_another_user_is_refused() {
    let (folder, path) = place();
    drop(bind(&path).await.unwrap());
    // Only root can give a directory away; everybody can name one of root's that is open to all.
    match chown(folder.path(), Some(12345), None) {
        Ok(()) => {
            let refused = bind(&path).await.unwrap_err();
            assert!(
                matches!(
                    refused,
                    SocketRefused::ForeignDirectory { owner: 12345, .. }
                ),
                "{refused}"
            );
        }
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
    }
    let refused = bind(Path::new("/tmp/vmux-agent-test.sock"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, SocketRefused::OpenDirectory { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_dead_socket_is_replaced() {
    let (_folder, path) = place();
    dead_socket(&path);
    let before = fs::symlink_metadata(&path).unwrap();
    let socket = bind(&path).await.unwrap();
    let after = fs::symlink_metadata(&path).unwrap();
    assert!(before.ino() != after.ino() || before.ctime_nsec() != after.ctime_nsec());
    let (ours, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
    assert!(ours.is_ok() && accepted.is_ok());
}

#[tokio::test]
async fn what_a_killed_agent_leaves_is_replaced() {
    let (_folder, path) = place();
    // A killed process closes its files and removes nothing.
    let socket = bind(&path).await.unwrap();
    let kept = path.with_extension("kept");
    fs::hard_link(&path, &kept).unwrap();
    drop(socket);
    fs::hard_link(&kept, &path).unwrap();
    assert!(path.with_extension("sock.lock").exists());
    let socket = bind(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    drop(socket);
}

#[tokio::test]
async fn a_second_agent_is_refused_and_the_first_lives_on() {
    let (_folder, path) = place();
    let socket = bind(&path).await.unwrap();
    let refused = bind(&path).await.unwrap_err();
    let own = std::process::id();
    assert!(
        matches!(refused, SocketRefused::Living { pid: Some(pid), .. } if pid == own),
        "{refused}"
    );
    assert!(refused.to_string().contains(&own.to_string()), "{refused}");
    let (ours, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
    assert!(ours.is_ok() && accepted.is_ok());
    // Even with its socket removed, the place is taken until it ends.
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        bind(&path).await,
        Err(SocketRefused::Living { .. })
    ));
    drop(socket);
    bind(&path).await.unwrap();
}

#[tokio::test]
async fn a_living_agent_of_another_kind_is_refused_and_named() {
    let (_folder, path) = place();
    let mut agent = Running::new(Command::new("ssh-agent").arg("-D").arg("-a").arg(&path));
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = bind(&path).await.unwrap_err();
    assert!(
        matches!(refused, SocketRefused::Living { pid: Some(pid), .. } if pid == agent.0.id()),
        "{refused}"
    );
    assert!(path.exists());
    agent.end();
    assert!(path.exists(), "killed, it leaves its socket");
    bind(&path).await.unwrap();
}

#[tokio::test]
async fn a_busy_agent_is_not_taken_for_a_dead_one() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind as bind_to, listen, socket};
    let (_folder, path) = place();
    let busy = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind_to(&busy, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    // Room for one connection, and nobody accepts.
    listen(&busy, 0).unwrap();
    let _waiting = UnixStream::connect(&path).await.unwrap();
    let refused = bind(&path).await.unwrap_err();
    assert!(matches!(refused, SocketRefused::Living { .. }), "{refused}");
    drop(busy);
    bind(&path).await.unwrap();
}

#[tokio::test]
async fn whatever_else_stands_there_is_refused_and_untouched() {
    let (folder, path) = place();
    let target = folder.path().join("target");
    dead_socket(&target);
    symlink(&target, &path).unwrap();
    assert!(matches!(
        bind(&path).await,
        Err(SocketRefused::Occupied {
            what: "a symbolic link",
            ..
        })
    ));
    assert!(path.is_symlink() && target.exists());
    fs::remove_file(&target).unwrap();
    // A link to nowhere would let a bind make the file there.
    assert!(matches!(
        bind(&path).await,
        Err(SocketRefused::Occupied { .. })
    ));
    assert!(!target.exists());
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    assert!(matches!(
        bind(&path).await,
        Err(SocketRefused::Occupied {
            what: "a directory",
            ..
        })
    ));
    fs::remove_dir(&path).unwrap();

    drop(File::create_new(&path).unwrap());
    let refused = bind(&path).await.unwrap_err();
    assert!(
        matches!(refused, SocketRefused::Occupied { what: "a file", .. }),
        "{refused}"
    );
    assert!(path.is_file());
    fs::remove_file(&path).unwrap();
    bind(&path).await.unwrap();
}

#[tokio::test]
async fn a_link_in_the_place_of_the_lock_is_refused_and_untouched() {
    let (folder, path) = place();
    let target = folder.path().join("precious");
    drop(File::create_new(&target).unwrap());
    let lock = path.with_extension("sock.lock");
    symlink(&target, &lock).unwrap();
    assert!(matches!(
        bind(&path).await,
        Err(SocketRefused::Occupied { .. })
    ));
    assert_eq!(fs::metadata(&target).unwrap().len(), 0);
    fs::remove_file(&lock).unwrap();
    let socket = bind(&path).await.unwrap();
    assert_eq!(
        fs::read_to_string(&lock).unwrap(),
        format!("{}\n", std::process::id())
    );
    assert_eq!(mode(&lock), 0o600);
    drop(socket);
}

#[tokio::test]
async fn a_dead_socket_of_another_user_is_refused() {
    let (_folder, path) = place();
    dead_socket(&path);
    // Only root can give it away; for others the system must refuse that.
    match chown(&path, Some(12345), None) {
        Ok(()) => {
            let refused = bind(&path).await.unwrap_err();
            assert!(
                matches!(refused, SocketRefused::ForeignSocket { owner: 12345, .. }),
                "{refused}"
            );
            assert!(path.exists());
        }
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn only_our_own_user_is_served() {
    assert_eq!(admission(1000, 1000), Admission::Own);
    assert_eq!(admission(1001, 1000), Admission::Foreign);
    assert_eq!(admission(0, 1000), Admission::Foreign);
}

#[tokio::test]
async fn another_user_is_hung_up_on_and_the_next_client_served() {
    let (_folder, path) = place();
    let socket = bind(&path).await.unwrap();
    if is_root() {
        // Another user can be played; the mode is opened, so that only the check is in the way.
        chmod(&path, 0o666);
    }
    let mut client = Command::new("ssh-add");
    client.arg("-l").env("SSH_AUTH_SOCK", &path);
    if is_root() {
        client.uid(12345);
    }
    let mut client = Running::new(&mut client);
    let waited = tokio::time::timeout(Duration::from_millis(500), socket.accept()).await;
    if is_root() {
        assert!(waited.is_err(), "another user is not handed out");
        assert!(!client.0.wait().unwrap().success());
        let (ours, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
        assert_eq!(ours.is_ok().then(|| accepted.unwrap().1.uid()), Some(0));
    } else {
        let (_stream, peer) = waited.unwrap().unwrap();
        assert_eq!(peer.pid(), Some(client.0.id()));
    }
}
