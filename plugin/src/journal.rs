//! What the player made, written down as it is made: brings takes and phrases back after a crash of the host.
//!
//! A file for each instance, a JSON document a line; the last line says that the instance ended in order. Files
//! that lack it are offered in the editor.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::places;
use crate::state::Take;

/// A line of a journal.
#[derive(Serialize, Deserialize)]
enum Line {
    /// An answer that the player kept.
    Kept(Take),
    /// A phrase that the player played.
    Heard(Take),
    /// The instance ended in order.
    Closed,
}

/// What a journal of an instance that did not end in order holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// When it was written last.
    pub when: SystemTime,
    /// Kept answers, then phrases, the newest of each first.
    pub takes: Vec<Take>,
}

/// Files older than this are deleted.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// A journal grows no larger, in bytes.
const LARGEST: u64 = 16 << 20;
/// Takes of a journal that are offered.
const MOST: usize = 64;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One instance's journal; its file is made with the first line.
pub struct Journal {
    folder: Option<PathBuf>,
    file: Option<(PathBuf, File)>,
}

impl Journal {
    /// In the user's data folder.
    pub fn new() -> Self {
        Self { folder: folder(), file: None }
    }

    /// Writes a kept answer down.
    pub fn kept(&mut self, take: &Take) -> io::Result<()> {
        self.write(&Line::Kept(take.clone()))
    }

    /// Writes a phrase down.
    pub fn heard(&mut self, phrase: &Take) -> io::Result<()> {
        self.write(&Line::Heard(phrase.clone()))
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        if self.file.is_none() {
            std::fs::create_dir_all(folder)?;
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let path = folder.join(format!("{now}-{}-{number}.jsonl", std::process::id()));
            self.file = Some((path.clone(), File::create(path)?));
        }
        let Some((_, file)) = &mut self.file else { return Ok(()) };
        if file.metadata()?.len() > LARGEST {
            return Ok(());
        }
        writeln!(file, "{}", serde_json::to_string(line)?)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What cannot be written now is only offered once too often.
            let _ = self.write(&Line::Closed);
        }
    }
}

/// Journals of instances that did not end in order, newest first.
pub fn recoverable() -> Vec<Found> {
    folder().map(|folder| found_in(&folder)).unwrap_or_default()
}

/// Offers it no more: it was recovered.
pub fn close(found: &Found) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).open(&found.path)?;
    writeln!(file, "{}", serde_json::to_string(&Line::Closed)?)
}

fn found_in(folder: &Path) -> Vec<Found> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<Found> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .filter_map(|path| read(&path))
        .collect();
    found.sort_by(|a, b| b.when.cmp(&a.when));
    found
}

fn read(path: &Path) -> Option<Found> {
    let when = path.metadata().ok()?.modified().ok()?;
    if when.elapsed().unwrap_or_default() > KEPT {
        // Another instance may have been quicker.
        let _ = std::fs::remove_file(path);
        return None;
    }
    let (mut kept, mut heard) = (Vec::new(), Vec::new());
    for line in BufReader::new(File::open(path).ok()?).lines() {
        // A crash may have cut the last line.
        match serde_json::from_str(&line.ok()?) {
            Ok(Line::Kept(take)) => {
                // One that grew stands there twice.
                match kept.iter_mut().find(|one: &&mut Take| one.is(&take)) {
                    Some(one) => *one = take,
                    None => kept.push(take),
                }
            }
            Ok(Line::Heard(take)) => heard.push(take),
            Ok(Line::Closed) => return None,
            Err(_) => {}
        }
    }
    kept.reverse();
    heard.reverse();
    kept.extend(heard);
    kept.truncate(MOST);
    let writer = path.file_stem()?.to_str()?.split('-').nth(1)?.parse().ok()?;
    (!kept.is_empty() && !is_alive(writer)).then_some(Found { path: path.into(), when, takes: kept })
}

/// Whether the process that writes a journal still runs, where that can be seen.
fn is_alive(process: u32) -> bool {
    process == std::process::id()
        || cfg!(target_os = "linux") && Path::new("/proc").join(process.to_string()).exists()
}

fn folder() -> Option<PathBuf> {
    places::data().map(|data| data.join("journal"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{TakeNote, TakeStore};

    fn take(key: u8) -> Take {
        let note = TakeNote { at: 1.0, len: 1.0, key, velocity: 80, instrument: 0, channel: 0 };
        Take { notes: vec![note], ..Take::default() }
    }

    /// The journal's file under the name of a process that is gone.
    fn crashed(journal: Journal, folder: &Path) -> PathBuf {
        let (from, to) = (journal.file.as_ref().unwrap().0.clone(), folder.join("1-4294967295-0.jsonl"));
        std::fs::rename(from, &to).unwrap();
        std::mem::forget(journal);
        to
    }

    #[test]
    fn what_a_crash_left_comes_back_once() {
        let folder = std::env::temp_dir().join(format!("continuo-journal-{}", std::process::id()));
        let mut journal = Journal { folder: Some(folder.clone()), file: None };
        journal.heard(&take(50)).unwrap();
        journal.kept(&take(60)).unwrap();
        journal.kept(&take(62)).unwrap();
        journal.heard(&take(52)).unwrap();
        assert!(found_in(&folder).is_empty(), "the process that writes it lives");
        let path = crashed(journal, &folder);
        writeln!(std::fs::OpenOptions::new().append(true).open(&path).unwrap(), "{{\"Kept\":{{\"no").unwrap();
        let found = found_in(&folder);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].takes, [take(62), take(60), take(52), take(50)]);
        let store = TakeStore::default();
        store.recover(&found[0].takes);
        let last = store.takes().pop().unwrap();
        assert_eq!(last, Take { id: last.id.clone(), ..take(62) }, "the answer that was kept last plays");
        close(&found[0]).unwrap();
        assert!(found_in(&folder).is_empty());
        let mut journal = Journal { folder: Some(folder.clone()), file: None };
        journal.kept(&take(61)).unwrap();
        drop(journal);
        assert!(found_in(&folder).is_empty(), "an instance that ended in order");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_take_that_grew_comes_back_once_and_whole() {
        let folder = std::env::temp_dir().join(format!("continuo-journal-grown-{}", std::process::id()));
        let mut journal = Journal { folder: Some(folder.clone()), file: None };
        let named = |id: &str, key: u8| Take { id: id.into(), ..take(key) };
        let whole = Take { notes: [take(60).notes, take(64).notes].concat(), ..named("a", 60) };
        for kept in [&named("a", 60), &named("b", 62), &whole] {
            journal.kept(kept).unwrap();
        }
        crashed(journal, &folder);
        assert_eq!(found_in(&folder)[0].takes, [named("b", 62), whole]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn of_too_many_the_oldest_phrases_are_left_out() {
        let folder = std::env::temp_dir().join(format!("continuo-journal-many-{}", std::process::id()));
        let mut journal = Journal { folder: Some(folder.clone()), file: None };
        (0..70).for_each(|key| journal.kept(&take(key)).unwrap());
        journal.heard(&take(100)).unwrap();
        crashed(journal, &folder);
        let found = found_in(&folder).remove(0).takes;
        assert_eq!((found.len(), &found[0], &found[63]), (MOST, &take(69), &take(6)));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
