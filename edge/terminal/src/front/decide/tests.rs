//! Real programs decide.

use super::*;
use crate::front::{Front as _, News, sample};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, PoisonError};
use vmux_host::output::{Format, Paint};
use vmux_proto::message::{Number, Refusal};
use vmux_signer::Withdrawn;

/// A directory with a shell script, and what it may leave there.
struct Script {
    dir: tempfile::TempDir,
    program: PathBuf,
}

impl Script {
    fn of(commands: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("decide");
        let text = format!("#!/bin/sh\ncd '{}'\n{commands}\n", dir.path().display());
        #[expect(clippy::disallowed_methods, reason = "a script to run")]
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir, program }
    }

    async fn decides(&self, prompt: &Prompt) -> Decision {
        decide(&self.program, prompt, LIMIT).await
    }

    fn left(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join(file)).ok()
    }
}

const YES: Decision = Decision::Approve {
    number: None,
    name: None,
};

#[tokio::test]
async fn exit_status_0_approves_and_any_other_denies() {
    assert_eq!(Script::of("exit 0").decides(&sample::pinned()).await, YES);
    for status in [1, 2, 77, 126, 127, 255] {
        let script = Script::of(&format!("exit {status}"));
        assert_eq!(
            script.decides(&sample::pinned()).await,
            Decision::Deny(After::Nothing),
            "{status}"
        );
    }
}

#[tokio::test]
async fn exit_status_10_blocks_and_11_says_that_it_was_not_me() {
    for (status, after) in [
        (9, After::Nothing),
        (10, After::Block),
        (11, After::NotMe),
        (12, After::Nothing),
    ] {
        let script = Script::of(&format!("exit {status}"));
        let decision = script.decides(&sample::pinned()).await;
        assert_eq!(decision, Decision::Deny(after), "{status}");
    }
}

#[tokio::test]
async fn what_holds_from_now_on_is_told_as_events() {
    let script = Script::of("exit 0");
    let paper = Paper::default();
    let output = Output::new(Format::Json, Paint::Plain, Box::new(paper.clone()));
    let (acts, _made) = mpsc::channel(1);
    let mut decider = Decider::new(&output, &script.program, acts);
    let (link, name) = (sample::pinned().link, sample::pinned().workstation);
    let failed = vmux_host::log::LogFailed::Touched { file: "log".into() };
    for news in [
        News::Suspended(link, &name, true),
        News::Suspended(link, &name, false),
        News::Blocks(&sample::blocks("git", 7)),
        News::Log(Some(&failed)),
        News::Log(None),
    ] {
        decider.tell(news);
    }
    let about =
        |event: &str| json!({ "event": event, "agent": "0123456789abcdef", "name": "laptop" });
    let events = paper.events();
    assert_eq!(events[..2], [about("suspended"), about("resumed")]);
    let source = json!({ "kind": "program", "name": "git" });
    let block = json!({ "agent": "0123456789abcdef", "source": source, "ends": 7 });
    assert_eq!(events[2], json!({ "event": "blocks", "blocks": [block] }));
    assert_eq!(events[3]["event"], "log-failing");
    assert_eq!(events[3]["message"], failed.to_string());
    assert_eq!(events[4], json!({ "event": "log-written" }));
}

#[tokio::test]
async fn a_program_that_crashes_denies() {
    for crash in ["kill -SEGV $$", "kill -KILL $$", "kill -TERM $$"] {
        let decision = Script::of(crash).decides(&sample::pinned()).await;
        assert_eq!(decision, Decision::Deny(After::Nothing), "{crash}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_denies() {
    let script = Script::of("exit 0");
    std::fs::remove_file(&script.program).unwrap();
    assert_eq!(
        script.decides(&sample::pinned()).await,
        Decision::Deny(After::Nothing)
    );
}

#[tokio::test]
async fn silence_denies_and_ends_the_program_with_all_it_started() {
    let script = Script::of("sleep 3 && touch survived & echo started > here; wait");
    let limit = Duration::from_millis(500);
    let decision = decide(&script.program, &sample::pinned(), limit).await;
    assert_eq!(decision, Decision::Deny(After::Nothing));
    assert_eq!(script.left("here").as_deref(), Some("started\n"));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(script.left("survived"), None);
}

#[tokio::test]
async fn the_program_reads_one_json_object_with_everything_in_it() {
    let script = Script::of("cat > read");
    let approved = Decision::Approve {
        number: Number::parse(sample::NUMBER),
        name: suggested_name(&sample::new()),
    };
    assert_eq!(script.decides(&sample::new()).await, approved);
    let read: Value = serde_json::from_str(&script.left("read").unwrap()).unwrap();
    assert_eq!(read["version"], 1);
    assert_eq!(read["number"], 42);
    assert_eq!(read["user"], "deploy");
}

#[tokio::test]
async fn it_does_not_matter_whether_the_program_reads_or_prints() {
    let script = Script::of("exec <&-; yes no | head -c 1000000; exit 0");
    assert_eq!(
        script.decides(&sample::hostile()).await,
        Decision::Approve {
            number: Number::parse(sample::NUMBER),
            name: None,
        }
    );
    // Its input may even stay open in somebody else's hands.
    let script = Script::of("sleep 2 <&0 & exit 0");
    let begun = clock::now().uptime;
    assert_eq!(script.decides(&sample::pinned()).await, YES);
    assert!(clock::now().uptime - begun < 1500);
}

/// What a decider printed.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn events(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn requests_are_decided_side_by_side_and_told_as_events() {
    let script = Script::of("grep -q '\"kind\":\"login\"' || exit 1; sleep 0.3");
    let paper = Paper::default();
    let output = Output::new(Format::Json, Paint::Plain, Box::new(paper.clone()));
    let (acts, mut made) = mpsc::channel(16);
    let mut decider = Decider::new(&output, &script.program, acts);
    let logins: Vec<_> = (1..=3)
        .map(|id| sample::again(&sample::pinned(), id))
        .collect();
    let begun = clock::now().uptime;
    for prompt in &logins {
        decider.tell(News::Asked(prompt));
    }
    decider.tell(News::Asked(&sample::again(&sample::git(), 4)));
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        let Some(Act::Decide(request, decision)) = made.recv().await else {
            panic!("no decision")
        };
        seen.insert(request, decision);
    }
    assert!(clock::now().uptime - begun < 900, "one after the other");
    let expected = [
        (1, YES),
        (2, YES),
        (3, YES),
        (4, Decision::Deny(After::Nothing)),
    ];
    let expected = expected.map(|(id, decision)| (RequestId([id; 16]), decision));
    assert_eq!(seen, BTreeMap::from(expected));

    decider.tell(News::Withdrawn(&logins[0], Withdrawn::Signed));
    decider.tell(News::Withdrawn(
        &logins[1],
        Withdrawn::Refused(Refusal::TimedOut),
    ));
    let events = paper.events();
    assert_eq!(events.len(), 6);
    assert_eq!(events[0]["event"], "asked");
    assert_eq!(events[0]["prompt"]["user"], "deploy");
    assert_eq!(
        events[4],
        json!({ "event": "signed", "request": "01".repeat(16), "reason": null })
    );
    assert_eq!(events[5]["event"], "refused");
    assert_eq!(events[5]["reason"], "timed-out");
}

#[tokio::test]
async fn a_withdrawn_request_ends_its_program() {
    let script = Script::of("echo started > here; sleep 2; touch survived");
    let output = Output::new(Format::Json, Paint::Plain, Box::new(std::io::sink()));
    let (acts, mut made) = mpsc::channel(16);
    let mut decider = Decider::new(&output, &script.program, acts);
    decider.tell(News::Asked(&sample::pinned()));
    while script.left("here").is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    decider.tell(News::Withdrawn(&sample::pinned(), Withdrawn::Cancelled));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(script.left("survived"), None);
    assert!(made.try_recv().is_err());
}

#[tokio::test]
async fn more_requests_than_programs_may_run_wait_for_their_turn() {
    let script = Script::of("echo x >> running; sleep 1; exit 0");
    let output = Output::new(Format::Json, Paint::Plain, Box::new(std::io::sink()));
    let (acts, mut made) = mpsc::channel(64);
    let mut decider = Decider::new(&output, &script.program, acts);
    for id in 0..18 {
        decider.tell(News::Asked(&sample::again(&sample::pinned(), id)));
    }
    let first = made.recv().await;
    assert!(first.is_some());
    let running = script.left("running").unwrap().lines().count();
    assert!(running <= MAX_PROGRAMS + 1, "{running}");
    for _ in 1..18 {
        assert!(made.recv().await.is_some());
    }
}

#[test]
fn a_program_is_looked_for_before_it_is_needed() {
    let script = Script::of("exit 0");
    assert!(find_program(&script.program).unwrap().is_absolute());
    assert!(find_program(Path::new("sh")).unwrap().is_absolute());
    for missing in [
        "no-such-program-at-all",
        "/no/such/program",
        "/",
        "/dev/null",
    ] {
        let refused = find_program(Path::new(missing)).unwrap_err();
        assert!(refused.what.starts_with(missing), "{refused}");
    }
    std::fs::set_permissions(&script.program, std::fs::Permissions::from_mode(0o600)).unwrap();
    if !rustix::process::geteuid().is_root() {
        find_program(&script.program).unwrap_err();
    }
}
