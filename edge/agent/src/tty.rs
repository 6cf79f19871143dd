//! A line in the client's terminal while it waits: ssh itself says nothing then.
//!
//! The line goes to the client's controlling terminal and nowhere else: it has to be a terminal
//! device, the very one that was found for the client, and our own user's. Writing never waits; a
//! terminal that is stopped or gone misses the line. What is shown may hold names from outside, so
//! every character that could move the cursor or hide text is escaped (I20).

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::geteuid;
use rustix::termios::{isatty, tcgetwinsize};
use vmux_proto::Untrusted;

use crate::provenance::Terminal;

/// One line in a terminal. Dropping it takes the line away, unless an outcome was written.
#[derive(Debug)]
pub struct Notice {
    terminal: File,
    shown: Shown,
}

/// What stands in the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Waiting,
}

impl Notice {
    /// Opens the terminal; none unless it is that device and belongs to this user.
    pub fn open(terminal: &Terminal) -> Option<Self> {
        let how =
            OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(open(&terminal.path, how, Mode::empty()).ok()?);
        let metadata = file.metadata().ok()?;
        let is_it = metadata.file_type().is_char_device()
            && metadata.rdev() == terminal.device
            && metadata.uid() == geteuid().as_raw()
            && isatty(&file);
        is_it.then_some(Self {
            terminal: file,
            shown: Shown::Nothing,
        })
    }

    /// Shows what is waited for, in place of what was shown before. The cursor stays on the line.
    pub fn waiting(&mut self, text: &str) {
        let line = self.line(text);
        self.write(&format!("{START}{line}"));
        self.shown = Shown::Waiting;
    }

    /// Shows how it ended, in place of what was shown before, and ends the line.
    pub fn outcome(mut self, text: &str) {
        let line = self.line(text);
        self.write(&format!("{START}{line}\r\n"));
        self.shown = Shown::Nothing;
    }

    /// The text as it may be shown, cut so that it stays on one line: a second one would not be
    /// taken away again.
    fn line(&self, text: &str) -> String {
        let columns = tcgetwinsize(&self.terminal).map_or(0, |size| size.ws_col);
        let columns = if columns == 0 {
            DEFAULT_COLUMNS
        } else {
            columns
        };
        cut(
            &format!("{NAME}: {}", Untrusted::new(text)),
            usize::from(columns.saturating_sub(1)),
        )
    }

    /// One write, so that nothing else gets in between; what does not fit is lost.
    fn write(&mut self, text: &str) {
        match self.terminal.write(text.as_bytes()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => tracing::debug!(%error, "the client's terminal took no notice"),
        }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        if self.shown == Shown::Waiting {
            self.write(START);
        }
    }
}

/// As much of the text as fits in so many columns, marked where it is cut.
fn cut(text: &str, columns: usize) -> String {
    let mut left = columns;
    let mut line = String::new();
    for character in text.chars() {
        // Outside ASCII a character may take two columns.
        let width = if character.is_ascii() { 1 } else { 2 };
        match left.checked_sub(width) {
            // The mark takes the last column, unless this is the last character.
            Some(rest) if rest > 0 || line.len().saturating_add(1) == text.len() => {
                left = rest;
                line.push(character);
            }
            Some(_) | None => {
                line.push('~');
                break;
            }
        }
    }
    line
}

/// To the beginning of the line, and clear it.
const START: &str = "\r\x1b[K";
const NAME: &str = "vmux-agent";
/// The width of a terminal that does not tell, a serial line for example.
const DEFAULT_COLUMNS: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
    use std::io::Read as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::{Path, PathBuf};

    /// A terminal and the side that sees what is written to it.
    struct Pty {
        screen: File,
        // Without anyone on this side, the screen reads end of file.
        _keeper: File,
        terminal: Terminal,
    }

    impl Pty {
        fn new() -> Self {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let screen = openpt(flags).unwrap();
            grantpt(&screen).unwrap();
            unlockpt(&screen).unwrap();
            let name = ptsname(&screen, Vec::new()).unwrap();
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
            let how = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            let keeper = File::from(open(&path, how, Mode::empty()).unwrap());
            let mut raw = tcgetattr(&keeper).unwrap();
            raw.make_raw();
            tcsetattr(&keeper, OptionalActions::Now, &raw).unwrap();
            let device = keeper.metadata().unwrap().rdev();
            let terminal = Terminal { path, device };
            Self {
                screen: screen.into(),
                _keeper: keeper,
                terminal,
            }
        }

        fn columns(self, columns: u16) -> Self {
            let size = Winsize {
                ws_row: 24,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            tcsetwinsize(&self.screen, size).unwrap();
            self
        }

        fn seen(&mut self) -> String {
            let mut bytes = vec![0; 4096];
            let count = self.screen.read(&mut bytes).unwrap();
            String::from_utf8(bytes[..count].to_vec()).unwrap()
        }
    }

    #[test]
    fn a_notice_is_replaced_by_its_outcome() {
        let mut pty = Pty::new();
        let mut notice = Notice::open(&pty.terminal).unwrap();
        notice.waiting("asked the phone");
        assert_eq!(pty.seen(), "\r\x1b[Kvmux-agent: asked the phone");
        notice.waiting("type 42");
        assert_eq!(pty.seen(), "\r\x1b[Kvmux-agent: type 42");
        notice.outcome("approved");
        assert_eq!(pty.seen(), "\r\x1b[Kvmux-agent: approved\r\n");
    }

    #[test]
    fn a_notice_without_outcome_is_taken_away_and_an_unused_one_leaves_nothing() {
        let mut pty = Pty::new();
        drop(Notice::open(&pty.terminal).unwrap());
        let mut notice = Notice::open(&pty.terminal).unwrap();
        notice.waiting("x");
        drop(notice);
        assert_eq!(pty.seen(), "\r\x1b[Kvmux-agent: x\r\x1b[K");
    }

    #[test]
    fn names_from_outside_cannot_move_the_cursor() {
        let mut pty = Pty::new();
        let mut notice = Notice::open(&pty.terminal).unwrap();
        notice.waiting("a\x1b]0;x\x07\r\nb\u{202e}");
        assert_eq!(
            pty.seen(),
            "\r\x1b[Kvmux-agent: a\\u{1b}]0;x\\u{7}\\u{d}\\u{a}b\\u{202e}"
        );
    }

    #[test]
    fn a_notice_stays_on_one_line() {
        let mut pty = Pty::new().columns(20);
        let mut notice = Notice::open(&pty.terminal).unwrap();
        notice.waiting("1234567");
        assert_eq!(pty.seen(), "\r\x1b[Kvmux-agent: 1234567");
        notice.waiting("12345678");
        assert_eq!(pty.seen(), "\r\x1b[Kvmux-agent: 123456~");
        notice.waiting("\u{65e5}\u{672c}\u{8a9e}\u{6587}");
        assert_eq!(pty.seen(), "\r\x1b[Kvmux-agent: \u{65e5}\u{672c}\u{8a9e}~");
    }

    #[test]
    fn cut_text_never_takes_more_columns_than_there_are() {
        for columns in 0..12 {
            for text in [
                "",
                "a",
                "abcdef",
                "\u{65e5}\u{672c}",
                "a\u{65e5}",
                "abcdefghijkl",
            ] {
                let line = cut(text, columns);
                let width: usize = line.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
                assert!(width <= columns.max(1), "{text} {columns} {line}");
            }
        }
    }

    #[test]
    fn a_terminal_nobody_reads_does_not_hold_us_up() {
        let pty = Pty::new();
        let mut notice = Notice::open(&pty.terminal).unwrap();
        for _ in 0..50_000 {
            notice.waiting("still waiting for the phone, and nobody looks at this terminal");
        }
        notice.outcome("done");
    }

    #[test]
    fn another_device_of_the_same_name_is_refused() {
        let pty = Pty::new();
        assert!(Notice::open(&pty.terminal).is_some());
        let device = pty.terminal.device + 1;
        assert!(
            Notice::open(&Terminal {
                device,
                ..pty.terminal.clone()
            })
            .is_none()
        );
    }

    #[test]
    fn a_device_that_is_no_terminal_is_refused() {
        let device = Path::new("/dev/null").metadata().unwrap().rdev();
        assert!(
            Notice::open(&Terminal {
                path: "/dev/null".into(),
                device
            })
            .is_none()
        );
    }

    #[test]
    fn files_pipes_and_links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pty = Pty::new();
        let open = |path: PathBuf| {
            Notice::open(&Terminal {
                path,
                ..pty.terminal.clone()
            })
        };
        let file = folder.path().join("file");
        drop(File::create_new(&file).unwrap());
        assert!(open(file.clone()).is_none());
        assert_eq!(file.metadata().unwrap().len(), 0);

        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap();
        assert!(made.success());
        // With a reader, so that opening alone would succeed.
        let how = OFlags::RDONLY | OFlags::NONBLOCK;
        let mut reader = File::from(rustix::fs::open(&pipe, how, Mode::empty()).unwrap());
        assert!(open(pipe).is_none());
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pty.terminal.path, &link).unwrap();
        assert!(open(link).is_none());
        assert!(open(folder.path().join("missing")).is_none());
        assert!(open(pty.terminal.path.clone()).is_some());
    }

    #[test]
    fn a_terminal_of_another_user_is_refused() {
        let pty = Pty::new();
        assert!(Notice::open(&pty.terminal).is_some());
        // Only root may give its terminal away; for others the system must refuse that.
        match std::os::unix::fs::chown(&pty.terminal.path, Some(12345), None) {
            Ok(()) => assert!(Notice::open(&pty.terminal).is_none()),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }
}
