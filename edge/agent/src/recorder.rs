//! Writes the log on a thread of its own, so that a slow disk keeps only those waiting who wait for
//! their own record (I8, I19).
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tracing::{error, info};
use vmux_host::log::{AuditLog, LogFailed};
use vmux_proto::audit::Line;

/// Takes lines; what became of them is reported in the same order.
#[derive(Debug)]
pub(crate) struct Recorder {
    lines: SyncSender<Line>,
    /// Lines that were handed over and not reported on.
    under_way: usize,
    taking: Taking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    Lines,
    /// There was no room for a line, so that nothing after it follows the end of the log.
    Nothing,
}

/// What became of the lines that were handed over.
#[derive(Debug)]
pub(crate) struct Report {
    /// How many this is about.
    handed: usize,
    /// The lines of the log, or why these are not in it.
    pub(crate) written: Result<u64, Unwritten>,
}

/// Why the log cannot be written, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unwritten {
    pub(crate) reason: String,
    pub(crate) hint: String,
}

impl Recorder {
    /// Starts the thread. `report` may wait: only the thread does.
    pub(crate) fn start(
        log: AuditLog,
        report: impl FnMut(Report) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (lines, inbox) = sync_channel(MAX_LINES);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(log, &inbox, report))?;
        Ok(Self {
            lines,
            under_way: 0,
            taking: Taking::Lines,
        })
    }

    /// Hands a line over and never waits.
    pub(crate) fn record(&mut self, line: Line) -> Result<(), Full> {
        if self.taking == Taking::Nothing {
            return Ok(());
        }
        if self.lines.try_send(line).is_ok() {
            self.under_way = self.under_way.saturating_add(1);
            return Ok(());
        }
        self.taking = Taking::Nothing;
        self.settled()
    }

    /// Takes note of a report; full if lines were lost before it for want of room.
    pub(crate) fn reported(&mut self, report: &Report) -> Result<(), Full> {
        self.under_way = self.under_way.saturating_sub(report.handed);
        self.settled()
    }

    /// Whether everything that was handed over has been reported on.
    pub(crate) const fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// A loss is told after all that was handed over before it, so that the log's end is known.
    fn settled(&mut self) -> Result<(), Full> {
        if self.taking == Taking::Nothing && self.is_idle() {
            self.taking = Taking::Lines;
            return Err(Full);
        }
        Ok(())
    }
}

/// More lines came than the disk takes; those without room are lost, and all before them reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Unwritten {
    fn of(failed: &LogFailed) -> Self {
        Self {
            reason: failed.to_string(),
            hint: failed.hint(),
        }
    }

    /// For want of room.
    pub(crate) fn full() -> Self {
        Self {
            reason: "the disk takes lines of the log more slowly than they come".to_owned(),
            hint: "check the disk that holds the state directory".to_owned(),
        }
    }
}

fn write(mut log: AuditLog, inbox: &Receiver<Line>, mut report: impl FnMut(Report)) {
    let mut failing = false;
    while let Ok(first) = inbox.recv() {
        let more = inbox.try_iter().take(MAX_BATCH.saturating_sub(1));
        let batch: Vec<Line> = std::iter::once(first).chain(more).collect();
        let before = log.head();
        let written = log.append(&batch);
        match &written {
            Err(failed) if !failing => {
                error!(%failed, hint = failed.hint(), "the log cannot be written");
            }
            Ok(_) if failing && log.head() != before => info!("the log can be written again"),
            Ok(_) | Err(_) => {}
        }
        failing = match &written {
            Err(_) => true,
            Ok(_) => failing && log.head() == before,
        };
        report(Report {
            handed: batch.len(),
            written: written.map_err(|failed| Unwritten::of(&failed)),
        });
    }
}

/// Lines that wait for the disk.
const MAX_LINES: usize = 1024;

/// Lines that are written and synced at once.
const MAX_BATCH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use vmux_host::log::{Limits, verify};
    use vmux_host::state_dir::{Holder, StateDir};
    use vmux_proto::Now;
    use vmux_proto::audit::{Chain, Entry, Event, Storing};

    const NOW: Now = Now { wall: 1, uptime: 1 };

    fn line(chain: &mut Chain) -> Line {
        chain.append(Entry::new(Event::Asked), Storing::Synced, NOW)
    }

    #[test]
    fn lines_are_written_in_batches_and_reported_in_order() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let state = StateDir::open(&path, &Holder::this("tests")).unwrap();
        let (log, head) = AuditLog::open(&state, Limits::default()).unwrap();
        let (reports, told) = channel();
        let mut recorder = Recorder::start(log, move |report| {
            reports.send(report).unwrap();
        })
        .unwrap();
        let mut chain = Chain::after(head);
        for _ in 0..600 {
            recorder.record(line(&mut chain)).unwrap();
        }
        let mut lines = 0;
        while !recorder.is_idle() {
            let report = told.recv().unwrap();
            recorder.reported(&report).unwrap();
            let reached = report.written.unwrap();
            assert!(reached > lines);
            lines = reached;
        }
        assert_eq!(lines, 600);
        assert_eq!(verify(&path, Some(chain.head())).unwrap().lines, 600);
    }

    /// The thread stands still at its first report, as it would at a disk that hangs.
    #[test]
    fn a_disk_that_stands_still_loses_lines_and_says_so_after_all_that_were_taken() {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDir::open(&parent.path().join("state"), &Holder::this("tests")).unwrap();
        let (log, head) = AuditLog::open(&state, Limits::default()).unwrap();
        let (reports, told) = sync_channel(0);
        let mut recorder = Recorder::start(log, move |report| {
            reports.send(report).unwrap();
        })
        .unwrap();
        let mut chain = Chain::after(head);
        // Those in the hands of the thread, and those that wait.
        for _ in 0..2 * MAX_LINES {
            assert_eq!(recorder.record(line(&mut chain)), Ok(()));
        }
        let mut full = None;
        let mut last = 0;
        while full.is_none() {
            let report = told.recv().unwrap();
            full = recorder.reported(&report).err();
            last = report.written.unwrap();
        }
        assert!(recorder.is_idle());
        // Room again, from the end of what was taken.
        let taken = usize::try_from(last).unwrap();
        assert!((MAX_LINES..2 * MAX_LINES).contains(&taken), "{taken}");
        let mut again = Chain::after(head);
        for _ in 0..last {
            line(&mut again);
        }
        recorder.record(line(&mut again)).unwrap();
        assert_eq!(told.recv().unwrap().written.unwrap(), last + 1);
    }
}
