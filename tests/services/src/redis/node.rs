//! One `redis-server` process and its file of settings.

use std::{
    fs::OpenOptions, io::Write as _, ops::Range, os::unix::fs::OpenOptionsExt as _, path::Path,
};

use super::program;
use crate::process::{HOST, Kind, Process};

/// Ports for all kinds: above those of `mongod`.
const PORTS: Range<u16> = 32_000..32_700;

/// What a server logs when it listens, and a sentinel.
const LISTENS: [&str; 2] = ["Ready to accept connections", "Sentinel ID is"];

/// A server, alone or one of a master and its replicas.
pub(super) static PLAIN: Kind = kind(&["--port"], LISTENS[0]);
/// One that speaks only TLS.
pub(super) static TLS: Kind = kind(&["--tls-port"], LISTENS[0]);
/// One of a cluster. The second port is the one at which the others talk to it; else Redis takes one that is 10,000 above
/// the first, where the kernel's own are.
pub(super) static CLUSTER: Kind = kind(&["--port", "--cluster-port"], LISTENS[0]);
/// One that watches others.
pub(super) static SENTINEL: Kind = kind(&["--port"], LISTENS[1]);

const fn kind(port_options: &'static [&'static str], listens: &'static str) -> Kind {
    Kind {
        name: "redis-server",
        program: program::path,
        port_options,
        ports: PORTS,
        listens,
    }
}

/// Settings of every server: it holds nothing that outlives its process, and a replica follows at once.
const USUAL: &str = "\
save \"\"
appendonly no
repl-diskless-sync yes
repl-diskless-sync-delay 0
";

/// Who may give every command.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// None is the user that everybody is who names none.
    pub(super) user: Option<String>,
    pub(super) password: String,
}

impl Login {
    fn settings(&self) -> String {
        match &self.user {
            None => format!("requirepass {}\n", quoted(&self.password)),
            Some(user) => {
                let secret = quoted(&format!(">{}", self.password));
                format!("user default off\nuser {user} on {secret} ~* &* +@all\n")
            }
        }
    }
}

/// Starts one; returns when it listens. `settings` are made from its folder.
///
/// # Panics
/// When it does not come up.
pub(super) async fn start(
    kind: &'static Kind,
    login: Option<&Login>,
    settings: impl FnOnce(&Path) -> String,
) -> Process {
    Process::start(kind, |folder| {
        let login = login.map_or_else(String::new, Login::settings);
        vec![settings_file(
            folder,
            &format!("{USUAL}{login}{}", settings(folder)),
        )]
    })
    .await
}

/// Writes the settings, which hold passwords, where only we read them; the file's path.
pub(super) fn settings_file(folder: &Path, settings: &str) -> String {
    let path = folder.join("settings");
    let all = format!("bind {HOST}\ndir {}\n{settings}", quoted(plain(folder)));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(all.as_bytes()))
        .expect("the file of settings");
    plain(&path).to_owned()
}

/// The path as text.
pub(super) fn plain(path: &Path) -> &str {
    path.to_str().expect("a path of plain text")
}

/// Text as it stands in a file of settings, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    let inside: String = text
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' => {
                char::from(byte).to_string()
            }
            other => format!("\\x{other:02x}"),
        })
        .collect();
    format!("\"{inside}\"")
}
