//! The key that signs tokens.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use super::AppError;
use crate::config::{Config, SecretKey};

/// The file in the data folder with the key that was made.
pub(super) const KEY_FILE: &str = "secret_key";

/// The key that signs tokens: the configured one, else one that is made once and kept beside the database.
pub(super) fn key(config: &Config) -> Result<SecretKey, AppError> {
    if let Some(key) = &config.secret_key {
        return Ok(key.clone());
    }
    let path = config.data_dir.join(KEY_FILE);
    let failed = |cause| AppError::DataDir {
        path: path.display().to_string(),
        cause,
    };
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(SecretKey(text.trim().into())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    fs::create_dir_all(&config.data_dir).map_err(failed)?;
    let bytes: [u8; 32] = rand::random();
    let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(&path, &key).map_err(failed)?;
    Ok(SecretKey(key))
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}
