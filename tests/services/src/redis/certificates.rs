//! TLS of a server: which settings name its certificate, and whether there can be one.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use super::{
    node::{plain, quoted},
    program,
};
use crate::certificates::{self, Certificates};

/// What a server without TLS says to its settings.
const UNKNOWN_SETTING: &str = "Bad directive";

static MISSING: LazyLock<Option<String>> = LazyLock::new(|| {
    program::missing()
        .or_else(certificates::missing)
        .or_else(|| (!knows_tls()).then(|| "this redis-server was built without TLS".to_owned()))
});

/// Why no `redis-server` with TLS can run here; none if one can.
#[must_use]
pub fn tls_missing() -> Option<String> {
    MISSING.clone()
}

/// Where the CA's certificate is in a server's folder.
pub(super) fn ca(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

/// Makes a CA and a certificate of the server at 127.0.0.1 and localhost in its folder; the settings that name them.
///
/// # Panics
/// When that cannot be: tests ask [`tls_missing`] first.
pub(super) fn make(folder: &Path) -> String {
    if let Some(why) = tls_missing() {
        panic!("{why}");
    }
    let files = Certificates::make(folder);
    // Clients show no certificate.
    format!(
        "port 0\ntls-auth-clients no\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\n",
        quoted(plain(&files.ca)),
        quoted(plain(&files.certificate)),
        quoted(plain(&files.key)),
    )
}

/// Whether the server takes a setting for TLS. It ends at the next one, which is wrong for every server.
fn knows_tls() -> bool {
    Command::new(program::path())
        .args(["--port", "0", "--tls-auth-clients", "no"])
        .args(["--dir", "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|done| {
            let said = [done.stdout, done.stderr].concat();
            !String::from_utf8_lossy(&said).contains(UNKNOWN_SETTING)
        })
}
