//! Certificates for servers on this machine, made by the `openssl` program: a CA that clients trust, and what it signs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::program::on_path;

const OPENSSL: &str = "openssl";
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

/// Why none can be made here; none if they can.
#[must_use]
pub fn missing() -> Option<String> {
    on_path(OPENSSL)
        .is_none()
        .then(|| format!("{OPENSSL} is missing"))
}

/// Files in PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The certificate of the CA.
    pub ca: PathBuf,
    /// The certificate of the server at 127.0.0.1 and localhost.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// A CA and a certificate of the server, in this folder.
    ///
    /// # Panics
    /// When that cannot be: tests ask [`missing`] first.
    #[must_use]
    pub fn make(folder: &Path) -> Self {
        fs::write(folder.join("server.ext"), SERVER).expect("a file");
        let ca = "req -x509 -nodes -subj /CN=tests -keyout ca.key -out ca.pem \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -days";
        openssl(folder, ca, &[&[DAYS], KEY].concat());
        let certificates = Self {
            ca: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        certificates.renew();
        certificates
    }

    /// Signs another certificate of the server, with a new key, in the place of the last one.
    ///
    /// # Panics
    /// When that cannot be.
    pub fn renew(&self) {
        let folder = self.ca.parent().expect("a folder");
        let request = "req -nodes -subj /CN=localhost -keyout server.key -out server.csr";
        openssl(folder, request, KEY);
        let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
            -extfile server.ext -out server.pem -days";
        openssl(folder, sign, &[DAYS]);
    }
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
