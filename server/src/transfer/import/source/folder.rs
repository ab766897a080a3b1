//! A folder as mongodump writes it: a file for each collection, in which documents stand one after the other, perhaps
//! compressed. Reading blocks: an import is a command of its own, and nobody waits beside it.

use std::{
    fs::{self, File},
    io::{BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};

use bson::raw::RawDocumentBuf;
use flate2::bufread::MultiGzDecoder;

use super::{Collection, OURS, SourceError, has_nothing, is_ours, names_schema};

/// Longest document, bytes: what MongoDB keeps, and the little more that it allows itself.
const LONGEST: usize = 16 * 1024 * 1024 + 16 * 1024;
/// Shortest document, bytes: its length, and the zero at its end.
const SHORTEST: usize = 5;
/// Bytes that are read at a time.
const AT_ONCE: usize = 256 * 1024;
/// Folders that are named where the one that was given has no dump.
const MOST_HINTS: usize = 5;

/// The folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    place: String,
}

impl Folder {
    /// Opens a folder, and the beginning of each file in it.
    pub(super) fn open(name: &str) -> Result<Self, SourceError> {
        let wrong = |why: &str| SourceError::Wrong(format!("{name}: {why}"));
        let path = fs::canonicalize(name).map_err(|error| wrong(&error.to_string()))?;
        if !path.is_dir() {
            return Err(wrong(
                "is not a folder; mongodump writes one when it is called without --archive",
            ));
        }
        let place = path.display().to_string();
        let folder = Self { path, place };
        if let Some(mut meta) = folder.reader(OURS.0).map_err(as_wrong)? {
            while let Some(document) = meta.next().map_err(as_wrong)? {
                if names_schema(&document) {
                    return Err(is_ours(&folder.place));
                }
            }
        }
        let mut any = false;
        for collection in Collection::ALL {
            if let Some(mut reader) = folder.documents(collection).map_err(as_wrong)? {
                any = true;
                let _ = reader.next().map_err(as_wrong)?;
            }
        }
        if !any {
            return Err(has_nothing(&folder.place, &hint(&folder.path)));
        }
        Ok(folder)
    }

    /// Its path from the root.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The documents of a collection; `None` where there is no file of it.
    pub(super) fn documents(&self, collection: Collection) -> Result<Option<Reader>, SourceError> {
        self.reader(collection.as_str())
    }

    fn reader(&self, collection: &str) -> Result<Option<Reader>, SourceError> {
        for (ending, is_compressed) in [("bson", false), ("bson.gz", true)] {
            let path = self.path.join(format!("{collection}.{ending}"));
            match File::open(&path) {
                Ok(file) => return Ok(Some(Reader::new(path, file, is_compressed))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&path, &error.to_string())),
            }
        }
        Ok(None)
    }

    /// How many documents a file has; 0 where it would have to be unpacked.
    pub(super) fn count(&self, collection: Collection) -> Result<u64, SourceError> {
        let Some(reader) = self.documents(collection)? else {
            return Ok(0);
        };
        let Content::Plain(mut file) = reader.content else {
            return Ok(0);
        };
        let mut count = 0;
        let mut length = [0; 4];
        while file.read_exact(&mut length).is_ok() {
            let rest = i64::from(i32::from_le_bytes(length)).saturating_sub(4);
            // Whoever reads the documents says what is wrong.
            if rest <= 0 || file.seek_relative(rest).is_err() {
                break;
            }
            count += 1;
        }
        Ok(count)
    }
}

fn as_wrong(error: SourceError) -> SourceError {
    match error {
        SourceError::Wrong(why) | SourceError::Failed(why) => SourceError::Wrong(why),
    }
}

fn failed(path: &Path, why: &str) -> SourceError {
    SourceError::Failed(format!("{}: {why}", path.display()))
}

/// mongodump writes a folder for each database: the one above may have been meant.
fn hint(path: &Path) -> String {
    let inside = fs::read_dir(path).into_iter().flatten().flatten();
    let dumps: Vec<String> = inside
        .filter(|entry| {
            let names = ["users.bson", "users.bson.gz"];
            names.iter().any(|name| entry.path().join(name).is_file())
        })
        .map(|entry| entry.path().display().to_string())
        .take(MOST_HINTS)
        .collect();
    if dumps.is_empty() {
        return String::new();
    }
    format!("; did you mean {}?", dumps.join(" or "))
}

/// Reads the documents of a file.
pub(crate) struct Reader {
    path: PathBuf,
    content: Content,
    /// Bytes of the documents that were read.
    position: u64,
}

enum Content {
    Plain(BufReader<File>),
    Compressed(Box<MultiGzDecoder<BufReader<File>>>),
}

impl Read for Content {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(bytes),
            Self::Compressed(file) => file.read(bytes),
        }
    }
}

impl Reader {
    fn new(path: PathBuf, file: File, is_compressed: bool) -> Self {
        let file = BufReader::with_capacity(AT_ONCE, file);
        let content = if is_compressed {
            Content::Compressed(Box::new(MultiGzDecoder::new(file)))
        } else {
            Content::Plain(file)
        };
        Self {
            path,
            content,
            position: 0,
        }
    }

    /// The next document; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<RawDocumentBuf>, SourceError> {
        let mut bytes = Vec::new();
        self.fill(&mut bytes, 4)?;
        let Ok(length) = <[u8; 4]>::try_from(bytes.as_slice()) else {
            return if bytes.is_empty() {
                Ok(None)
            } else {
                Err(self.ends_early())
            };
        };
        let length = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
        if !(SHORTEST..=LONGEST).contains(&length) {
            return Err(self.is_not_bson("no document is that long"));
        }
        self.fill(&mut bytes, length)?;
        if bytes.len() < length {
            return Err(self.ends_early());
        }
        let document = RawDocumentBuf::from_bytes(bytes)
            .map_err(|error| self.is_not_bson(&error.to_string()))?;
        self.position += length as u64;
        Ok(Some(document))
    }

    /// Reads until there are so many bytes, or no more. Grows with what is there, not with what is promised.
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<(), SourceError> {
        let missing = length.saturating_sub(bytes.len()) as u64;
        let read = (&mut self.content).take(missing).read_to_end(bytes);
        read.map(drop)
            .map_err(|error| failed(&self.path, &error.to_string()))
    }

    fn ends_early(&self) -> SourceError {
        failed(
            &self.path,
            "ends in the middle of a document: the dump is not complete",
        )
    }

    fn is_not_bson(&self, why: &str) -> SourceError {
        let at = self.position;
        failed(&self.path, &format!("no BSON at byte {at}: {why}"))
    }
}
