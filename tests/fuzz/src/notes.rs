//! What a run leaves behind: inputs that failed, below `target/fuzz`, and the input that was running when a run died
//! without a word, as by an overflow of the stack.

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hasher as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process,
};

/// The files of one run.
#[derive(Debug)]
pub struct Notes {
    folder: PathBuf,
    running: File,
    running_at: PathBuf,
}

impl Notes {
    /// Makes the folder of a target.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn open(target: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let built = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let folder = root.join(built).join("fuzz").join(target);
        fs::create_dir_all(&folder).unwrap();
        let folder = folder.canonicalize().unwrap();
        let running_at = folder.join(format!("running-{}", process::id()));
        Self {
            running: File::create(&running_at).unwrap(),
            folder,
            running_at,
        }
    }

    /// Notes the input that runs now: it stays if the process ends before [`Notes`] do.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn runs(&self, input: &[u8]) {
        self.running.set_len(input.len() as u64).unwrap();
        self.running.write_all_at(input, 0).unwrap();
    }

    /// Writes an input that failed; answers where it lies.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn failed(&self, input: &[u8]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        hasher.write(input);
        let path = self.folder.join(format!("{:016x}", hasher.finish()));
        fs::write(&path, input).unwrap();
        path
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.running_at); // somebody may have cleaned
    }
}
