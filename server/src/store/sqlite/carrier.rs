//! Carries the write-ahead log into the file, on a thread of its own: it takes as long as many commits do, and who waits for
//! one of them need not wait for that. The writer goes on meanwhile, and begins the log anew when all of it was carried.
//!
//! The writer tells after each commit how long the log is. It carries the rest itself where this thread falls behind, which
//! bounds the log; and at its end, when this thread is gone.

use std::{
    ffi::c_int,
    io,
    sync::mpsc::{Receiver, sync_channel},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, hooks::Wal};

/// Pages of the log, 4 KiB each, that are carried at a time: some batches of results, most of whose index pages are the same.
const WORTHWHILE: c_int = 2048;
/// Pages of the log after which the writer carries what is left itself: 64 MiB, which a start after a crash reads in a
/// moment.
pub(super) const MOST: c_int = 16_384;

/// The thread.
#[derive(Debug)]
pub(super) struct Carrier(JoinHandle<()>);

impl Carrier {
    /// Starts it, with a connection of its own to the file of `writer`.
    pub(super) fn start(writer: &mut Connection, own: Connection) -> io::Result<Self> {
        let (tell, told) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("sqlite-carrier".to_owned())
            .spawn(move || carry(&own, &told))?;
        let mut told_at = 0;
        let hook = move |log: &mut Wal, pages: c_int| {
            if pages < told_at {
                // It began anew.
                told_at = 0;
            }
            if pages >= MOST {
                // An error here would be told of the commit. Where the thread is at it, the next commit comes by again.
                let _ = log.checkpoint();
            } else if pages - told_at >= WORTHWHILE {
                told_at = pages;
                // Where it is at it and was told already, it hears of this too.
                let _ = tell.try_send(());
            }
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(io::Error::other)?;
        Ok(Self(thread))
    }

    /// Lets it carry what it is at, and ends it.
    pub(super) fn end(self, writer: &mut Connection) {
        // The hook holds what the thread listens to.
        let unhooked = writer.wal_hook(None::<fn(&mut Wal, c_int) -> rusqlite::Result<()>>);
        if let Err(error) = unhooked {
            tracing::error!(%error, "the store's log is still listened to");
        } else if self.0.join().is_err() {
            tracing::error!("the thread that carries the store's log ended by a panic");
        }
    }
}

fn carry(own: &Connection, told: &Receiver<()>) {
    while told.recv().is_ok() {
        let carried = own.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()));
        if let Err(error) = carried {
            tracing::warn!(%error, "the store's log could not be carried into its file");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
        time::{Duration, Instant},
    };

    use tempfile::TempDir;

    use super::*;

    /// Longest the thread may take, on a machine that is busy.
    const WITHIN: Duration = Duration::from_secs(30);
    /// Of one commit: half of what is worth being carried.
    const COMMIT: i32 = 4 * 1024 * 1024;

    /// A file that is written to, with the thread that carries its log.
    struct Scene {
        folder: TempDir,
        writer: Connection,
        carrier: Carrier,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            let mut writer = Connection::open(&path).unwrap();
            writer
                .execute_batch("pragma journal_mode = wal; create table some (thing blob)")
                .unwrap();
            let carrier = Carrier::start(&mut writer, Connection::open(&path).unwrap()).unwrap();
            Self {
                folder,
                writer,
                carrier,
            }
        }

        fn log(&self) -> PathBuf {
            self.folder.path().join("file-wal")
        }
    }

    fn commit(writer: &Connection) {
        writer
            .execute("insert into some values (zeroblob(?1))", [COMMIT])
            .unwrap();
    }

    fn length(file: &Path) -> u64 {
        fs::metadata(file).unwrap().len()
    }

    /// Pages in the log, and those of them that were carried; nothing is done about it.
    fn progress(connection: &Connection) -> (i64, i64) {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(2)?));
        connection
            .query_row("pragma wal_checkpoint(noop)", [], read)
            .unwrap()
    }

    #[test]
    fn the_log_is_carried_while_the_writer_does_something_else() {
        let scene = Scene::new();
        commit(&scene.writer);
        assert_eq!(progress(&scene.writer).1, 0, "not worth it yet");
        for _ in 0..3 {
            commit(&scene.writer);
        }
        let begun = Instant::now();
        loop {
            let (pages, carried) = progress(&scene.writer);
            assert!(pages > i64::from(WORTHWHILE), "{pages} pages");
            if carried >= i64::from(WORTHWHILE) {
                break;
            }
            assert!(begun.elapsed() < WITHIN, "{carried} of {pages} pages");
            thread::yield_now();
        }
    }

    #[test]
    fn the_log_of_a_writer_that_never_pauses_begins_anew() {
        let scene = Scene::new();
        let most = u64::try_from(MOST).unwrap() * 4096;
        for _ in 0..40 {
            commit(&scene.writer);
        }
        // Where the thread was at it, a commit or some came on top.
        assert!(length(&scene.log()) < most * 3 / 2);
    }

    #[test]
    fn when_it_has_ended_nobody_listens_any_more() {
        let Scene {
            folder: _folder,
            mut writer,
            carrier,
        } = Scene::new();
        carrier.end(&mut writer);
        for _ in 0..4 {
            commit(&writer);
        }
        assert_eq!(progress(&writer).1, 0);
    }
}
