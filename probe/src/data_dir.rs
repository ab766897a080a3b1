//! The agent's directory: who may use it, what lies where, and how a file is written so that a crash at any moment
//! leaves the old one or the new one.
//!
//! ```text
//! DIR/lock                            held by the running agent
//! DIR/hub.json                        what the hub asked to keep to, last known
//! DIR/counters.json                   what was dropped, skipped or set aside since the agent was installed
//! DIR/assignments/<operation>.json    one assignment with its progress
//! DIR/results/<seq>-<operation>-<code>.bson   one unsent or unanswered result, as the frame that travels
//! DIR/damaged/                        files that could not be read, never touched again
//! DIR/tmp/                            half-written files and tools' output; emptied at start
//! ```
//!
//! Knows nothing of what the files mean: [`crate::assignments`] and [`crate::spool`] do.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
};

use tracing::{error, warn};

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another agent runs with it.
    #[error(
        "{} is in use by another agent; give each agent its own --data directory", .0.display()
    )]
    InUse(PathBuf),
    /// It cannot be made, read or written.
    #[error("cannot use {} as data directory: {cause}", path.display())]
    Unusable {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// The directory, locked for this process until dropped.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: File,
    staged: RefCell<Vec<Staged>>,
    failed: Cell<bool>,
}

/// A file that is written but neither durable nor in its place.
#[derive(Debug)]
struct Staged {
    file: File,
    half: PathBuf,
    place: PathBuf,
}

/// Files synced side by side: what disks take well, and few enough threads.
const SYNCS: usize = 8;

impl DataDir {
    /// Makes what is missing, takes the lock and empties `tmp`.
    ///
    /// # Errors
    /// [`DataDirError`]
    pub fn open(root: &Path) -> Result<Self, DataDirError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |cause| DataDirError::Unusable { path, cause }
        };
        fs::create_dir_all(root).map_err(unusable(root))?;
        // Tools get paths below it and run in another directory of their own choice.
        let root = fs::canonicalize(root).map_err(unusable(root))?;
        let lock_path = root.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(unusable(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(DataDirError::InUse(root)),
            Err(fs::TryLockError::Error(cause)) => return Err(unusable(&lock_path)(cause)),
        }
        let dir = Self {
            root,
            _lock: lock,
            staged: RefCell::default(),
            failed: Cell::new(false),
        };
        // Only the lock's holder may empty it.
        let _ = fs::remove_dir_all(dir.tmp());
        for part in [dir.assignments(), dir.results(), dir.damaged(), dir.tmp()] {
            fs::create_dir_all(&part).map_err(unusable(&part))?;
        }
        sync_dir(&dir.root).map_err(unusable(&dir.root))?;
        Ok(dir)
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where assignments lie.
    #[must_use]
    pub fn assignments(&self) -> PathBuf {
        self.root.join("assignments")
    }

    /// Where results lie.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.root.join("results")
    }

    /// Where unreadable files go.
    #[must_use]
    pub fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    /// Where files lie that nobody misses after a crash.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Writes `dir/name`; neither there nor durable before [`DataDir::commit`]. A later write of the same name in
    /// between takes its place.
    ///
    /// # Errors
    /// What the system says; then the old file, if any, is untouched.
    pub fn write(&self, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let half = self.tmp().join(name);
        let written = File::create(&half).and_then(|mut file| {
            file.write_all(bytes)?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                let mut staged = self.staged.borrow_mut();
                staged.retain(|earlier| earlier.half != half);
                let place = dir.join(name);
                staged.push(Staged { file, half, place });
                Ok(())
            }
            Err(cause) => {
                let _ = fs::remove_file(&half); // else a full disk stays fuller than it must
                Err(cause)
            }
        }
    }

    /// Puts everything written since the last commit in its place, each file whole or not at all, and makes it durable.
    /// The files are synced side by side: the disk does many in the time of one.
    ///
    /// # Errors
    /// What the system says; then some files may be in place and others not, and every later commit fails too.
    pub fn commit(&self) -> io::Result<()> {
        if self.failed.get() {
            return Err(io::Error::other("an earlier commit failed"));
        }
        let committed = put_in_place(&self.staged.take());
        self.failed.set(committed.is_err());
        committed
    }

    /// Moves a file that cannot be read out of the way, so that it is kept but never read again.
    pub fn set_aside(&self, file: &Path, why: &dyn std::fmt::Display) {
        let name = file.file_name().unwrap_or(file.as_os_str());
        let to = self.damaged().join(name);
        match fs::rename(file, &to) {
            Ok(()) => {
                warn!(file = %file.display(), %why, "cannot read {}: moved to {}", file.display(), to.display());
            }
            Err(cause) => {
                error!(file = %file.display(), %why, %cause, "cannot read {} nor move it away", file.display());
            }
        }
    }
}

fn put_in_place(staged: &[Staged]) -> io::Result<()> {
    let share = staged.len().div_ceil(SYNCS).max(1);
    thread::scope(|scope| {
        let sync = |files: &[Staged]| files.iter().try_for_each(|one| one.file.sync_all());
        // The first share is ours: most commits are of one file and need no thread.
        let mut shares = staged.chunks(share);
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> = shares
            .map(|files| scope.spawn(move || sync(files)))
            .collect();
        let own = sync(own);
        let panicked = |_| Err(io::Error::other("a thread that syncs files panicked"));
        let join = |other: thread::ScopedJoinHandle<'_, _>| other.join().unwrap_or_else(panicked);
        others.into_iter().map(join).fold(own, io::Result::and)
    })?;
    let mut directories = BTreeSet::new();
    for Staged { half, place, .. } in staged {
        fs::rename(half, place)?;
        directories.extend(place.parent());
    }
    directories.into_iter().try_for_each(sync_dir)
}

/// Makes the names in a directory durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The plain files of a directory, by name.
///
/// # Errors
/// What the system says of the directory; entries that vanish meanwhile are left out.
pub fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_agents_never_share_it() {
        let root = tempfile::tempdir().unwrap();
        let first = DataDir::open(root.path()).unwrap();
        assert!(matches!(
            DataDir::open(root.path()),
            Err(DataDirError::InUse(_))
        ));
        drop(first);
        DataDir::open(root.path()).unwrap();
    }

    #[test]
    fn a_commit_puts_every_file_in_its_place() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        dir.commit().unwrap();
        for number in 0..20 {
            dir.write(&dir.results(), &number.to_string(), b"old")
                .unwrap();
        }
        dir.write(&dir.assignments(), "a", b"old").unwrap();
        dir.write(&dir.results(), "7", b"new").unwrap();
        assert_eq!(files(&dir.results()).unwrap().len(), 0);
        dir.commit().unwrap();
        assert_eq!(files(&dir.results()).unwrap().len(), 20);
        assert_eq!(fs::read(dir.results().join("7")).unwrap(), b"new");
        assert_eq!(fs::read(dir.assignments().join("a")).unwrap(), b"old");
        assert_eq!(files(&dir.tmp()).unwrap().len(), 0);
    }

    #[test]
    fn half_written_files_are_gone_at_start() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        fs::write(dir.tmp().join("half"), "x").unwrap();
        drop(dir);
        let dir = DataDir::open(root.path()).unwrap();
        assert_eq!(files(&dir.tmp()).unwrap(), Vec::<PathBuf>::new());
    }
}
