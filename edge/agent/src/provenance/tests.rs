use super::*;

fn process(program: &str, words: &[&str]) -> Process {
    Process {
        pid: 7,
        program: (!program.is_empty()).then(|| program.into()),
        words: words.iter().copied().map(Untrusted::new).collect(),
        directory: None,
        started: None,
    }
}

fn titled(chain: &[Process]) -> String {
    title::title(chain)
}

#[test]
fn titles_name_what_was_run_and_from_where() {
    let ssh = || process("/usr/bin/ssh", &["ssh", "web", "uptime"]);
    let zsh = || process("/usr/bin/zsh", &["-zsh"]);
    let line = || process("/usr/bin/dash", &["sh", "-c", "ssh web"]);
    let git = || process("/usr/bin/git", &["git", "push", "origin"]);
    let script = || process("/usr/bin/bash", &["bash", "deploy.sh", "-c"]);
    assert_eq!(titled(&[ssh(), git(), zsh()]), "git push \u{2190} zsh");
    assert_eq!(
        titled(&[ssh(), line(), git(), line(), zsh()]),
        "git push \u{2190} zsh"
    );
    assert_eq!(titled(&[ssh(), zsh()]), "ssh web \u{2190} zsh");
    assert_eq!(titled(&[ssh(), line(), zsh()]), "ssh web \u{2190} zsh");
    assert_eq!(
        titled(&[ssh(), script(), zsh()]),
        "bash deploy.sh \u{2190} zsh"
    );
    let scp = process("/usr/bin/scp", &["scp", "-r", "x", "web:"]);
    assert_eq!(titled(&[ssh(), scp, zsh()]), "scp \u{2190} zsh");
    assert_eq!(titled(&[ssh()]), "ssh web");
    let updated = process("/usr/bin/ssh (deleted)", &["ssh", "-v", "web"]);
    assert_eq!(titled(&[updated, git()]), "git push");
    let foreign = process("", &["-zsh"]);
    assert_eq!(titled(&[git(), foreign]), "git push \u{2190} zsh");
    assert_eq!(titled(&[]), "");
}

/// The name that limits and blocks hold for.
fn origin(chain: &[Process]) -> Option<String> {
    title::origin(chain).map(|origin| origin.name)
}

#[test]
fn the_origin_is_the_program_the_person_ran_and_not_the_ssh_that_it_ran() {
    let ssh = || process("/usr/bin/ssh", &["ssh", "web"]);
    let zsh = || process("/usr/bin/zsh", &["-zsh"]);
    let line = || process("/usr/bin/dash", &["sh", "-c", "ssh web"]);
    let git = Process {
        pid: 9,
        started: Some(77),
        ..process("/usr/bin/git (deleted)", &["git", "push"])
    };
    let found = title::origin(&[ssh(), line(), git, zsh()]).unwrap();
    let named = (found.pid, found.started, &*found.name);
    assert_eq!(named, (9, 77, "/usr/bin/git"));
    // Typed into a shell, it is the program that was typed.
    assert_eq!(origin(&[ssh(), zsh()]).as_deref(), Some("/usr/bin/ssh"));
    assert_eq!(origin(&[ssh()]).as_deref(), Some("/usr/bin/ssh"));
    let nameless = process("", &["deploy"]);
    assert_eq!(origin(&[ssh(), nameless]).as_deref(), Some("deploy"));
    assert_eq!(origin(&[]), None);
}

#[test]
fn a_script_is_told_from_others_that_the_same_interpreter_runs() {
    let run = |program: &str, words: &[&str]| {
        let mut ran = process(program, words);
        ran.directory = Some("/home/me/ops".into());
        origin(&[process("/usr/bin/ssh", &["ssh", "web"]), ran]).unwrap()
    };
    let python = "/usr/bin/python3.11";
    for (words, script) in [
        (
            &["python3", "deploy.py", "web"][..],
            "/home/me/ops/deploy.py",
        ),
        (&["python3", "./deploy.py"], "/home/me/ops/deploy.py"),
        (&["python3", "-u", "-W", "error", "/opt/x.py"], "/opt/x.py"),
        (&["python3", "--", "-odd.py"], "/home/me/ops/-odd.py"),
        // No script: a program's text, a module, or what a person types.
        (&["python3", "-c", "import os"], python),
        (&["python3", "-m", "fabric"], python),
        (&["python3"], python),
    ] {
        assert_eq!(run(python, words), script, "{words:?}");
    }
    let shell = run("/usr/bin/bash", &["bash", "deploy.sh"]);
    assert_eq!(shell, "/home/me/ops/deploy.sh");
    // A program with an argument is no interpreter.
    assert_eq!(run("/usr/bin/rsync", &["rsync", "a.py"]), "/usr/bin/rsync");
}

#[test]
fn long_names_do_not_make_long_titles() {
    let long = "\u{e4}".repeat(10_000);
    let chain = [process(&long, &["x", &long]), process(&long, &[])];
    let title = titled(&chain);
    assert!(
        title.len() < 250 && title.contains(" \u{2190} "),
        "{}",
        title.len()
    );
}

#[test]
fn command_lines_are_kept_in_whole_words_only() {
    let raw = |line: &[u8]| -> Vec<String> {
        words(line)
            .iter()
            .map(|word| word.raw().to_owned())
            .collect()
    };
    assert_eq!(raw(b"ssh\0-p\0\x0022\0"), ["ssh", "-p", "", "22"]);
    assert_eq!(raw(b"title without zeros"), ["title without zeros"]);
    assert_eq!(raw(b"\xff\0"), ["\u{fffd}"]);
    assert!(raw(b"").is_empty());

    let fits = [b"ssh\0".as_slice(), &[b'x'; MAX_COMMAND_LINE - 5], b"\0"].concat();
    assert_eq!(raw(&fits).len(), 2);
    let longer = [b"ssh\0".as_slice(), &[b'x'; MAX_COMMAND_LINE - 3]].concat();
    assert_eq!(raw(&longer), ["ssh"]);
    assert!(raw(&[b'x'; MAX_COMMAND_LINE + 1]).is_empty());
    assert_eq!(raw(&b"a\0".repeat(MAX_WORDS)).len(), MAX_WORDS);
    assert_eq!(raw(&b"a\0".repeat(MAX_WORDS + 1)).len(), MAX_WORDS);
}

#[test]
fn what_the_signer_gets_is_within_its_limits() {
    let long = "\u{e4}".repeat(MAX_HINT);
    let client = Process {
        directory: Some(long.as_str().into()),
        ..process(&long, &["ssh", "-p", "2222", "alice@Web", &long])
    };
    let provenance = Provenance {
        chain: vec![client],
        terminal: Some(Terminal {
            path: "/dev/pts/3".into(),
            device: 1,
        }),
    };
    let reported = provenance.reported();
    assert_eq!(reported.processes[0].program.len(), MAX_HINT);
    assert!(
        reported.processes[0]
            .command
            .starts_with("ssh -p 2222 alice@Web \u{e4}")
    );
    assert!((MAX_HINT - 1..=MAX_HINT).contains(&reported.processes[0].command.len()));
    assert_eq!(reported.directory.unwrap().len(), MAX_HINT);
    assert_eq!(reported.terminal.as_deref(), Some("/dev/pts/3"));
    assert_eq!(reported.host.as_deref(), Some("[web]:2222"));
    assert_eq!(Provenance::default().reported(), Reported::default());
}

#[cfg(target_os = "linux")]
mod system {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::UnixListener;
    use vmux_host::clock;

    /// A folder with a listener in it; its clients ask for a list and wait for the answer.
    struct World {
        folder: tempfile::TempDir,
        listener: UnixListener,
    }

    /// A process that is not left behind, however the test ends.
    struct Running(Child);

    impl Running {
        fn new(command: &mut Command) -> Self {
            let quiet = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            Self(quiet.spawn().unwrap())
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(folder.path().join("s")).unwrap();
            Self { folder, listener }
        }

        fn run(&self, program: &str, arguments: &[&str]) -> Running {
            let mut command = self.command(program);
            Running::new(command.args(arguments))
        }

        fn command(&self, program: &str) -> Command {
            let mut command = Command::new(program);
            command.env("SSH_AUTH_SOCK", self.folder.path().join("s"));
            command.current_dir(self.folder.path());
            command
        }

        async fn accept(&self) -> (UnixStream, Arc<Peer>) {
            let (stream, _) = self.listener.accept().await.unwrap();
            let peer = Peer::of(&stream).unwrap();
            (stream, Arc::new(peer))
        }
    }

    async fn inspect(peer: &Arc<Peer>) -> Provenance {
        Inspector::new(System).inspect(Arc::clone(peer)).await
    }

    #[tokio::test]
    async fn a_client_is_found_with_its_ancestors() {
        let world = World::new();
        let before = clock::now().uptime;
        let child = world.run("sh", &["-c", "ssh-add -l; true"]);
        let (stream, peer) = world.accept().await;
        let found = inspect(&peer).await;
        let after = clock::now().uptime;

        let [client, shell, test, ..] = found.chain.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(Some(client.pid), peer.pid());
        assert_eq!(shell.pid, child.0.id());
        assert_eq!(test.pid, std::process::id());
        assert!(
            client.program.as_ref().unwrap().raw().ends_with("/ssh-add"),
            "{found:?}"
        );
        let words: Vec<_> = client.words.iter().map(Untrusted::raw).collect();
        assert_eq!(words, ["ssh-add", "-l"]);
        let folder = world.folder.path().canonicalize().unwrap();
        assert_eq!(
            client.directory.as_ref().map(Untrusted::raw),
            folder.to_str()
        );
        // The kernel counts in hundredths of a second, rounded down.
        let started = client.started.unwrap();
        assert!(
            (before.saturating_sub(10)..=after).contains(&started),
            "{before} {started}"
        );
        assert!(found.chain.len() <= vmux_proto::limits::MAX_PROCESSES);

        let own = std::env::current_exe().unwrap();
        assert_eq!(test.program.as_ref().map(Untrusted::raw), own.to_str());
        assert_eq!(peer.uid(), rustix::process::geteuid().as_raw());
        drop(stream);
        drop(child);
    }

    #[tokio::test]
    async fn a_client_that_ended_is_not_mistaken_for_a_successor() {
        let world = World::new();
        let child = world.run("ssh-add", &["-l"]);
        let (_stream, peer) = world.accept().await;
        assert!(!inspect(&peer).await.chain.is_empty());
        drop(child);
        assert_eq!(inspect(&peer).await, Provenance::default());
    }

    #[tokio::test]
    async fn a_living_number_with_the_handle_of_a_dead_process_finds_nothing() {
        let world = World::new();
        let child = world.run("ssh-add", &["-l"]);
        let (_stream, dead) = world.accept().await;
        drop(child);
        let child = world.run("ssh-add", &["-l"]);
        let (stream, living) = world.accept().await;
        assert!(!inspect(&living).await.chain.is_empty());
        // As if the second had been given the first one's number.
        let dead = Arc::into_inner(dead).unwrap();
        let reused = Arc::new(Peer {
            pid: living.pid,
            ..dead
        });
        assert_eq!(inspect(&reused).await, Provenance::default());
        drop(stream);
        drop(child);
    }

    #[tokio::test]
    async fn a_terminal_is_found_for_clients_that_have_one() {
        let world = World::new();
        let child = world.run("script", &["-qec", "ssh-add -l", "/dev/null"]);
        let (stream, peer) = world.accept().await;
        let found = inspect(&peer).await;
        let terminal = found.terminal.expect("script gives it a terminal");
        assert!(terminal.path.starts_with("/dev/pts/"), "{terminal:?}");
        // The link the kernel shows for the client's own standard input is the same device.
        let link = format!("/proc/{}/fd/0", peer.pid().unwrap());
        assert_eq!(std::fs::read_link(link).unwrap(), terminal.path);
        drop(stream);
        drop(child);

        let child = world.run("setsid", &["-w", "ssh-add", "-l"]);
        let (stream, peer) = world.accept().await;
        let found = inspect(&peer).await;
        assert!(!found.chain.is_empty());
        assert_eq!(found.terminal, None);
        drop(stream);
        drop(child);
    }

    #[tokio::test]
    async fn long_chains_end_at_their_limit() {
        let world = World::new();
        let mut line = "ssh-add -l; true".to_owned();
        for _ in 0..10 {
            line = format!("sh -c {}; true", shell_quoted(&line));
        }
        let child = world.run("sh", &["-c", &line]);
        let (stream, peer) = world.accept().await;
        assert_eq!(
            inspect(&peer).await.chain.len(),
            vmux_proto::limits::MAX_PROCESSES
        );
        drop(stream);
        drop(child);
    }

    #[tokio::test]
    async fn a_client_called_ssh_tells_its_host_and_others_do_not() {
        let world = World::new();
        let code = "use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); \
                    connect(S, sockaddr_un($ENV{SSH_AUTH_SOCK})); sleep 60";
        for (name, host) in [("ssh", Some("web")), ("perl", None)] {
            // To ssh, `-e` is an option with an argument as well.
            let arguments = ["-e", code, "--", "alice@Web"];
            let child = Running::new(world.command("perl").arg0(name).args(arguments));
            let (_stream, peer) = world.accept().await;
            let found = inspect(&peer).await;
            let invocation = found.invocation();
            assert_eq!(invocation.as_ref().map(|found| found.host.as_str()), host);
            assert_eq!(found.reported().host.as_deref(), host);
            // The executable is still what it is.
            let program = found.chain[0].program.as_ref().unwrap().raw();
            assert!(program.contains("/perl"), "{program}");
            drop(child);
        }
    }

    #[tokio::test]
    async fn a_look_that_hangs_delays_nobody_else() {
        /// Counts the looks that go on at once, and the most there were.
        #[derive(Default)]
        struct Hanging(AtomicUsize, AtomicUsize);
        impl Inspect for Arc<Hanging> {
            fn inspect(&self, _: &Peer) -> Provenance {
                let going_on = self.0.fetch_add(1, Ordering::SeqCst) + 1;
                self.1.fetch_max(going_on, Ordering::SeqCst);
                std::thread::sleep(LONGEST_LOOK * 4);
                self.0.fetch_sub(1, Ordering::SeqCst);
                Provenance {
                    chain: vec![process("never", &[])],
                    terminal: None,
                }
            }
        }
        let world = World::new();
        let child = world.run("ssh-add", &["-l"]);
        let (_stream, peer) = world.accept().await;
        let hanging = Arc::new(Hanging::default());
        let inspector = Inspector::new(Arc::clone(&hanging));
        // More than there are turns, and again while the first still hang: nobody waits longer.
        for _ in 0..2 {
            let before = clock::now().uptime;
            let looks: Vec<_> = (0..MAX_LOOKS + 2)
                .map(|_| {
                    let (inspector, peer) = (inspector.clone(), Arc::clone(&peer));
                    tokio::spawn(async move { inspector.inspect(peer).await })
                })
                .collect();
            for look in looks {
                assert_eq!(look.await.unwrap(), Provenance::default());
            }
            let took = Duration::from_millis(clock::now().uptime - before);
            assert!(took + Duration::from_millis(5) >= LONGEST_LOOK, "{took:?}");
            assert!(took < LONGEST_LOOK * 3, "{took:?}");
        }
        assert_eq!(hanging.1.load(Ordering::SeqCst), MAX_LOOKS);
        drop(child);
    }

    fn shell_quoted(line: &str) -> String {
        format!("'{}'", line.replace('\'', "'\\''"))
    }
}
