//! Certificates for a server, made by the `openssl` program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use super::{
    node::{plain, quoted},
    program,
};
use crate::program::on_path;

const OPENSSL: &str = "openssl";
/// What a server without TLS says to its settings.
const UNKNOWN_SETTING: &str = "Bad directive";
/// Validity of certificates, days: longer than any test, and soon worthless.
const DAYS: &str = "2";
/// What every new key is.
const KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
/// What the server's certificate is for.
const SERVER: &str = "\
basicConstraints=CA:FALSE
subjectAltName=IP:127.0.0.1,DNS:localhost
extendedKeyUsage=serverAuth
";

static MISSING: LazyLock<Option<String>> = LazyLock::new(|| {
    program::missing().or_else(|| {
        if on_path(OPENSSL).is_none() {
            return Some(format!("{OPENSSL} is missing"));
        }
        (!knows_tls()).then(|| "this redis-server was built without TLS".to_owned())
    })
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
    fs::write(folder.join("server.ext"), SERVER).expect("a file");
    let ca = "req -x509 -nodes -subj /CN=tests -keyout ca.key -out ca.pem \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -days";
    openssl(folder, ca, &[&[DAYS], KEY].concat());
    let request = "req -nodes -subj /CN=localhost -keyout server.key -out server.csr";
    openssl(folder, request, KEY);
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
        -extfile server.ext -out server.pem -days";
    openssl(folder, sign, &[DAYS]);
    // Clients show no certificate.
    format!(
        "port 0\ntls-auth-clients no\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\n",
        quoted(plain(&folder.join("ca.pem"))),
        quoted(plain(&folder.join("server.pem"))),
        quoted(plain(&folder.join("server.key"))),
    )
}

fn openssl(folder: &Path, words: &str, more: &[&str]) {
    let done = Command::new(OPENSSL)
        .args(words.split_whitespace())
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("openssl was started");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "openssl {words}: {said}");
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
