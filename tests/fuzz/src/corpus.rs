//! Inputs to begin with: committed files, and what a run finds.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use rand::{RngExt as _, rngs::StdRng};

/// Most inputs that a run keeps beside the files; what comes later takes the place of another.
const MOST_FOUND: usize = 2_000;
/// Of so many inputs that are changed, one is a file, the others what was found: it is further away.
const FILES_ARE_ONE_OF: u32 = 3;

/// A committed input.
#[derive(Debug, Clone)]
pub struct File {
    /// What the input is.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

/// Inputs to change.
#[derive(Debug, Default)]
pub struct Corpus {
    files: Vec<File>,
    found: Vec<Vec<u8>>,
    outcomes: HashSet<u64>,
}

/// The folder of all targets.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The names of all targets: each has a folder.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn targets() -> Vec<String> {
    names(&folder())
}

/// What lies in a folder, in order, so that a seed always means the same run.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

impl Corpus {
    /// Reads the files of a target.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn read(target: &str) -> Self {
        let folder = folder().join(target);
        let files: Vec<File> = names(&folder)
            .into_iter()
            .map(|name| File {
                bytes: fs::read(folder.join(&name)).unwrap(),
                name,
            })
            .collect();
        assert!(!files.is_empty(), "{target} has no corpus");
        Self::of(files)
    }

    /// Of these files, at least one.
    #[must_use]
    pub fn of(files: Vec<File>) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> Vec<File> {
        self.files.clone()
    }

    /// Notes the outcome of a file.
    pub fn seen(&mut self, outcome: u64) {
        self.outcomes.insert(outcome);
    }

    /// Keeps an input whose outcome is a new one.
    pub fn keep(&mut self, outcome: u64, input: Vec<u8>) {
        if !self.outcomes.insert(outcome) {
            return;
        }
        if self.found.len() < MOST_FOUND {
            self.found.push(input);
        } else {
            let place = usize::try_from(outcome % MOST_FOUND as u64).unwrap();
            self.found[place] = input;
        }
    }

    /// How many outcomes were seen.
    #[must_use]
    pub fn outcomes(&self) -> usize {
        self.outcomes.len()
    }

    /// One to change.
    pub fn one(&self, random: &mut StdRng) -> &[u8] {
        if self.found.is_empty() || random.random_ratio(1, FILES_ARE_ONE_OF) {
            &self.files[random.random_range(0..self.files.len())].bytes
        } else {
            &self.found[random.random_range(0..self.found.len())]
        }
    }
}
