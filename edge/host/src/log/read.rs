//! Reads the log while others may be adding to it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::OFlags;
use vmux_proto::limits::MAX_LOG_LINE;

use super::folder::{CURRENT, Folder, aside};
use crate::files::FileRefused;

/// One line as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Name of the file.
    pub file: Rc<str>,
    /// Its place in that file, from 1.
    pub number: u64,
    /// Without the newline.
    pub bytes: Vec<u8>,
}

/// All lines of the log in a state directory, oldest first. After the last one, more can be asked for
/// later. A log that was never begun has none.
pub fn read(state_dir: &Path) -> Result<Lines, FileRefused> {
    read_after(state_dir, 0)
}

/// As [`read`], but files that end at this line or before are left out.
pub fn read_after(state_dir: &Path, line: u64) -> Result<Lines, FileRefused> {
    let mut lines = Lines {
        folder: Folder::look(state_dir)?,
        waiting: VecDeque::new(),
        file: None,
        partial: Vec::new(),
    };
    if let Some(folder) = &lines.folder {
        // Before the others are listed: what is set aside meanwhile is then found twice, not never.
        let current = open(folder, CURRENT)?;
        let aside_before = folder.set_aside_before()?;
        let later = aside_before.iter().skip(1).copied().chain([u64::MAX]);
        let wanted = aside_before
            .iter()
            .zip(later)
            // The current file may be empty, so the last of the others is always looked at.
            .filter(|(_, next)| next.saturating_sub(1) > line);
        for (first, _) in wanted {
            let Some(opened) = open(folder, &aside(*first))? else {
                continue;
            };
            if current.as_ref().is_none_or(|one| one.id != opened.id) {
                lines.waiting.push_back(opened);
            }
        }
        lines.waiting.extend(current);
    }
    Ok(lines)
}

/// Lines of a log. `None` says that there is nothing more at the moment.
#[derive(Debug)]
pub struct Lines {
    folder: Option<Folder>,
    waiting: VecDeque<Opened>,
    file: Option<Opened>,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
}

#[derive(Debug)]
struct Opened {
    name: Rc<str>,
    id: (u64, u64),
    reader: BufReader<File>,
    number: u64,
}

impl Lines {
    /// Bytes at the end that are no whole line: one is being written, or its writer was killed.
    pub fn unfinished(&self) -> usize {
        self.partial.len()
    }

    fn advance(&mut self) -> Result<Option<LogLine>, FileRefused> {
        loop {
            if let Some(line) = self.line()? {
                return Ok(Some(line));
            }
            if self.waiting.is_empty() {
                self.look_for_more()?;
            }
            let Some(next) = self.waiting.pop_front() else {
                return Ok(None);
            };
            let before = self.file.replace(next);
            // Files that are set aside end with whole lines, unless something else cut them.
            if let Some(before) = before
                && !self.partial.is_empty()
            {
                return Ok(Some(LogLine {
                    file: before.name,
                    number: before.number.saturating_add(1),
                    bytes: std::mem::take(&mut self.partial),
                }));
            }
        }
    }

    fn line(&mut self) -> Result<Option<LogLine>, FileRefused> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        let longest = MAX_LOG_LINE.saturating_add(1);
        let room = longest.saturating_sub(self.partial.len());
        let most = u64::try_from(room).unwrap_or(u64::MAX);
        let read = file
            .reader
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut self.partial);
        if let Err(cause) = read {
            let path = self.folder.as_ref().map(|folder| folder.path.clone());
            let path = path.unwrap_or_default().join(&*file.name);
            return Err(FileRefused::failed(&path, "read it", cause));
        }
        let ended = self.partial.pop_if(|byte| *byte == b'\n').is_some();
        // A line that is too long is handed out in pieces, none of which is a record.
        if !ended && self.partial.len() < longest {
            return Ok(None);
        }
        file.number = file.number.saturating_add(1);
        Ok(Some(LogLine {
            file: Rc::clone(&file.name),
            number: file.number,
            bytes: std::mem::take(&mut self.partial),
        }))
    }

    /// Whether the file was set aside, and what came after it.
    fn look_for_more(&mut self) -> Result<(), FileRefused> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let Some(current) = open(folder, CURRENT)? else {
            return Ok(());
        };
        let Some(here) = self.file.as_ref().map(|file| file.id) else {
            self.waiting.push_back(current);
            return Ok(());
        };
        if current.id == here {
            return Ok(());
        }
        let mut after = false;
        for first in folder.set_aside_before()? {
            let Some(opened) = open(folder, &aside(first))? else {
                continue;
            };
            if opened.id == current.id {
                break;
            }
            if after {
                self.waiting.push_back(opened);
            } else {
                after = opened.id == here;
            }
        }
        // A line may have been added between the last read and the change of files; with `file`
        // empty, what was read of it is not taken for a cut end.
        if let Some(file) = self.file.as_mut() {
            let more = file.reader.fill_buf().is_ok_and(|more| !more.is_empty());
            if more {
                self.waiting.clear();
                self.waiting.extend(self.file.take());
                return Ok(());
            }
        }
        self.waiting.push_back(current);
        Ok(())
    }
}

impl Iterator for Lines {
    type Item = Result<LogLine, FileRefused>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

fn open(folder: &Folder, name: &str) -> Result<Option<Opened>, FileRefused> {
    let Some(file) = folder.open(name, OFlags::RDONLY)? else {
        return Ok(None);
    };
    let metadata = file
        .metadata()
        .map_err(|e| FileRefused::failed(&folder.path.join(name), "look at it", e))?;
    Ok(Some(Opened {
        name: name.into(),
        id: (metadata.dev(), metadata.ino()),
        reader: BufReader::new(file),
        number: 0,
    }))
}
