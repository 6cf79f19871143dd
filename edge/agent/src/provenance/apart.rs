//! Looks at clients from another process.
//!
//! A process that is restricted by Landlock does not see the executables and working directories of
//! others. So the daemon starts one more process of its own program before it is restricted. That
//! process holds no secret, opens no socket, changes no file, and does nothing but look at the
//! process numbers it is given. It ends when the daemon does, whatever way that ends.
//!
//! A question is a turn and a process number; an answer is the turn, a length, and what was found as
//! JSON. Each look has a thread of its own there: one that hangs holds nobody else up.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::warn;
use vmux_proto::Untrusted;

use super::linux::look;
use super::{Inspect, Peer, Process, Provenance, Terminal};

/// The process that looks, not asked yet.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    questions: ChildStdin,
    answers: ChildStdout,
}

impl Started {
    /// Starts it. `verb` makes this program call [`serve`].
    pub(crate) fn new(verb: &str) -> io::Result<Self> {
        // Found even if the program was replaced meanwhile.
        let mut child = Command::new("/proc/self/exe")
            .arg0("vmux-agent")
            .arg(verb)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            child,
            questions,
            answers,
        })
    }

    /// Takes its answers from now on, in a thread.
    pub(crate) fn listen(self) -> Apart {
        let Self {
            mut child,
            questions,
            mut answers,
        } = self;
        let desk = Arc::new(Mutex::new(Desk {
            turn: 0,
            waiting: BTreeMap::new(),
            questions: Some(questions),
        }));
        let apart = Apart(Arc::clone(&desk));
        std::thread::spawn(move || {
            let why = loop {
                match read_answer(&mut answers) {
                    Ok((turn, found)) => {
                        if let Some(asker) = lock(&desk).waiting.remove(&turn) {
                            // An asker waits for as long as its look takes.
                            drop(asker.send(found));
                        }
                    }
                    Err(error) => break error,
                }
            };
            // All who wait, and who ask later, find nothing.
            let mut desk = lock(&desk);
            desk.questions = None;
            desk.waiting.clear();
            drop(desk);
            let status = child.wait();
            warn!(%why, ?status, "clients are not looked at any more: restart the agent");
        });
        apart
    }
}

/// Asks that process.
#[derive(Debug)]
pub(crate) struct Apart(Arc<Mutex<Desk>>);

#[derive(Debug)]
struct Desk {
    turn: u64,
    waiting: BTreeMap<u64, SyncSender<Provenance>>,
    /// None once there is nobody to ask.
    questions: Option<ChildStdin>,
}

impl Inspect for Apart {
    fn inspect(&self, peer: &Peer) -> Provenance {
        let looked = || {
            let pid = u32::try_from(peer.living()?.as_raw_pid()).ok()?;
            let found = self.ask(pid)?;
            // Alive all the time, so the number was its own all the time.
            peer.living().map(|_| found)
        };
        looked().unwrap_or_default()
    }
}

impl Apart {
    fn ask(&self, pid: u32) -> Option<Provenance> {
        let (answer, answered) = sync_channel(1);
        {
            let mut desk = lock(&self.0);
            desk.turn = desk.turn.wrapping_add(1);
            let turn = desk.turn;
            let question = write_question(desk.questions.as_mut()?, turn, pid);
            question.ok()?;
            desk.waiting.insert(turn, answer);
        }
        answered.recv().ok()
    }
}

/// Answers questions until nobody asks any more.
pub(crate) fn serve(mut questions: impl Read, answers: impl Write + Send + 'static) {
    let answers = Arc::new(Mutex::new(answers));
    while let Ok((turn, pid)) = read_question(&mut questions) {
        let answers = Arc::clone(&answers);
        std::thread::spawn(move || {
            // Whether the number is still that process's is for those to say who hold its pidfd.
            let found = look(pid, || true).unwrap_or_default();
            let answer = answer(turn, &found);
            // Nobody is left to tell if this fails.
            let mut answers = lock(&answers);
            drop(answers.write_all(&answer).and_then(|()| answers.flush()));
        });
    }
}

fn write_question(to: &mut impl Write, turn: u64, pid: u32) -> io::Result<()> {
    let mut question = Vec::from(turn.to_be_bytes());
    question.extend(pid.to_be_bytes());
    to.write_all(&question)
}

fn read_question(from: &mut impl Read) -> io::Result<(u64, u32)> {
    Ok((
        u64::from_be_bytes(bytes(from)?),
        u32::from_be_bytes(bytes(from)?),
    ))
}

fn answer(turn: u64, found: &Provenance) -> Vec<u8> {
    let nothing = || serde_json::to_vec(&Found::default()).unwrap_or_default();
    let found = serde_json::to_vec(&Found::of(found))
        .ok()
        .filter(|found| found.len() <= MAX_ANSWER)
        .unwrap_or_else(nothing);
    let length = u32::try_from(found.len()).unwrap_or(0);
    [&turn.to_be_bytes()[..], &length.to_be_bytes(), &found].concat()
}

fn read_answer(from: &mut impl Read) -> io::Result<(u64, Provenance)> {
    let turn = u64::from_be_bytes(bytes(from)?);
    let length = usize::try_from(u32::from_be_bytes(bytes(from)?)).unwrap_or(usize::MAX);
    if length > MAX_ANSWER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut found = vec![0; length];
    from.read_exact(&mut found)?;
    let found: Found = serde_json::from_slice(&found)?;
    Ok((turn, found.into()))
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map(|()| bytes)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A [`Provenance`] on its way.
#[derive(Default, Serialize, Deserialize)]
struct Found {
    chain: Vec<FoundProcess>,
    terminal: Option<(PathBuf, u64)>,
}

#[derive(Serialize, Deserialize)]
struct FoundProcess {
    pid: u32,
    program: Option<String>,
    words: Vec<String>,
    directory: Option<String>,
    started: Option<u64>,
}

impl Found {
    fn of(provenance: &Provenance) -> Self {
        let raw = |text: &Untrusted| text.raw().to_owned();
        let chain = provenance.chain.iter().map(|process| FoundProcess {
            pid: process.pid,
            program: process.program.as_ref().map(raw),
            words: process.words.iter().map(raw).collect(),
            directory: process.directory.as_ref().map(raw),
            started: process.started,
        });
        let terminal = provenance.terminal.as_ref();
        Self {
            chain: chain.collect(),
            terminal: terminal.map(|terminal| (terminal.path.clone(), terminal.device)),
        }
    }
}

impl From<Found> for Provenance {
    fn from(Found { chain, terminal }: Found) -> Self {
        let untrusted = |text: String| Untrusted::new(&text);
        let chain = chain.into_iter().map(|process| Process {
            pid: process.pid,
            program: process.program.map(untrusted),
            words: process.words.into_iter().map(untrusted).collect(),
            directory: process.directory.map(untrusted),
            started: process.started,
        });
        Self {
            chain: chain.collect(),
            terminal: terminal.map(|(path, device)| Terminal { path, device }),
        }
    }
}

/// The longest chain with the longest words, all of them escaped.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn asked(questions: &[u8]) -> Vec<u8> {
        let (mut seen, shown) = io::pipe().unwrap();
        let questions = questions.to_vec();
        std::thread::spawn(move || serve(questions.as_slice(), shown));
        let mut answers = Vec::new();
        seen.read_to_end(&mut answers).unwrap();
        answers
    }

    fn question(turn: u64, pid: u32) -> Vec<u8> {
        let mut question = Vec::new();
        write_question(&mut question, turn, pid).unwrap();
        question
    }

    #[test]
    fn what_is_found_apart_is_what_is_found_here() {
        let answers = asked(&question(7, std::process::id()));
        let (turn, found) = read_answer(&mut answers.as_slice()).unwrap();
        let here = look(std::process::id(), || true).unwrap();
        assert!(here.chain[0].program.is_some() && here.chain[0].directory.is_some());
        assert_eq!((turn, found), (7, here));
    }

    #[test]
    fn a_short_answer_does_not_wait_in_a_buffer_for_the_next_one() {
        let (seen, shown) = io::pipe().unwrap();
        let (questions, mut asked) = io::pipe().unwrap();
        // Standard output is such a writer.
        serve_in_background(questions, io::LineWriter::new(shown));
        asked.write_all(&question(1, u32::MAX)).unwrap();
        let (told, heard) = sync_channel(1);
        std::thread::spawn(move || told.send(read_answer(&mut { seen }).map(|(turn, _)| turn)));
        let turn = heard.recv_timeout(Duration::from_secs(10));
        assert_eq!(turn.unwrap().unwrap(), 1);
    }

    fn serve_in_background(
        questions: impl Read + Send + 'static,
        answers: impl Write + Send + 'static,
    ) {
        drop(std::thread::spawn(move || serve(questions, answers)));
    }

    #[test]
    fn every_question_is_answered_and_one_about_nobody_with_nothing() {
        let questions = [question(1, u32::MAX), question(2, u32::MAX)].concat();
        let answers = asked(&questions);
        let mut answers = answers.as_slice();
        let mut turns = [(); 2].map(|()| read_answer(&mut answers).unwrap());
        turns.sort_by_key(|(turn, _)| *turn);
        assert_eq!(
            turns,
            [(1, Provenance::default()), (2, Provenance::default())]
        );
        assert!(answers.is_empty());
    }

    #[test]
    fn an_answer_at_the_limit_is_read_and_a_longer_one_is_not() {
        let with_length = |length: usize| {
            let found = [
                b"{\"chain\":[],\"terminal\":null".to_vec(),
                vec![b' '; length],
            ]
            .concat();
            let found = [&found[..length - 1], b"}"].concat();
            let length = u32::try_from(found.len()).unwrap();
            [&9_u64.to_be_bytes()[..], &length.to_be_bytes(), &found].concat()
        };
        let fits = with_length(MAX_ANSWER);
        assert_eq!(
            read_answer(&mut fits.as_slice()).unwrap(),
            (9, Provenance::default())
        );
        let longer = with_length(MAX_ANSWER + 1);
        assert!(read_answer(&mut longer.as_slice()).is_err());
    }

    #[test]
    fn whoever_waits_learns_that_the_process_ended() {
        // A process that reads the question and ends without an answer.
        let mut child = Command::new("head")
            .args(["-c", "12"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let apart = Started {
            child,
            questions,
            answers,
        }
        .listen();
        assert_eq!(apart.ask(std::process::id()), None);
        assert_eq!(apart.ask(std::process::id()), None);
    }
}
