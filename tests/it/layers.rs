//! Which module of the hub may import which: the table, and a test that reads the source.
//!
//! A file imports only what its line names. Who needs more changes the table first, and says why in the commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tests::{Case, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("it::layers::modules_import_what_the_table_allows")
            .run(async || modules_import_what_the_table_allows()),
        Case::new("it::layers::libraries_stay_where_they_belong")
            .run(async || libraries_stay_where_they_belong()),
    ]
}

/// A module of the hub and what it may import of the hub. From pure to whole: `warts`, `domain` and `config` import
/// nothing, `app` alone picks adapters.
const IMPORTS: &[(&str, &[&str])] = &[
    (
        "app",
        &[
            "bus",
            "config",
            "diagnosis",
            "dispatch",
            "domain",
            "http",
            "ingest",
            "launch",
            "listener",
            "live",
            "metrics",
            "names",
            "passwords",
            "pulse",
            "registry",
            "roster",
            "seed",
            "session",
            "store",
            "sweep",
            "throttle",
            "tokens",
            "transfer",
        ],
    ),
    ("bus", &["config", "domain", "metrics", "store", "throttle"]),
    ("cli", &[]),
    ("config", &[]),
    ("decode", &["warts"]),
    ("diagnosis", &["domain", "metrics", "store"]),
    (
        "dispatch",
        &["bus", "domain", "registry", "roster", "store"],
    ),
    ("domain", &[]),
    (
        "http",
        &[
            "bus",
            "diagnosis",
            "dispatch",
            "domain",
            "ingest",
            "launch",
            "live",
            "metrics",
            "names",
            "old_words",
            "passwords",
            "registry",
            "roster",
            "session",
            "store",
            "throttle",
            "tokens",
            "views",
        ],
    ),
    ("ingest", &["bus", "decode", "metrics", "registry", "store"]),
    ("launch", &["bus", "dispatch", "domain", "roster", "store"]),
    (
        "lib",
        &[
            "app",
            "config",
            "diagnosis",
            "http",
            "pages",
            "telemetry",
            "transfer",
        ],
    ),
    ("listener", &["throttle"]),
    ("live", &["bus", "domain", "store", "views"]),
    ("main", &[]),
    ("metrics", &[]),
    ("names", &[]),
    ("old_words", &["domain"]),
    ("pages", &[]),
    ("passwords", &[]),
    ("pulse", &["metrics", "roster", "store"]),
    ("registry", &["domain"]),
    ("roster", &["bus", "domain", "metrics", "registry"]),
    ("seed", &["decode", "domain", "store"]),
    (
        "session",
        &[
            "domain",
            "ingest",
            "metrics",
            "names",
            "old_words",
            "registry",
            "store",
        ],
    ),
    ("store", &["domain"]),
    ("sweep", &["bus", "dispatch", "domain", "registry", "store"]),
    ("telemetry", &["config"]),
    ("throttle", &["config"]),
    ("tokens", &["config", "domain"]),
    (
        "transfer",
        &[
            "config",
            "decode",
            "domain",
            "old_words",
            "passwords",
            "store",
        ],
    ),
    ("views", &["store"]),
    ("warts", &[]),
];

/// What only some modules may name: libraries that decide what a module can do, and adapters.
const BELONGS: &[(&str, &[&str])] = &[
    ("rusqlite", &["store/sqlite"]),
    ("mongodb", &["store/mongo", "transfer/import/source"]),
    (
        "axum",
        &["http", "session", "registry", "dispatch", "listener"],
    ),
    ("tokio::net", &["app", "listener"]),
    (
        "std::fs",
        &["app", "store/sqlite", "telemetry", "transfer/import/source"],
    ),
    ("mongodb", &["store/mongo", "transfer/import/source"]),
    ("jsonwebtoken", &["tokens"]),
    ("metrics_exporter_prometheus", &["metrics"]),
    ("argon2", &["passwords"]),
    ("clap", &["cli"]),
    ("governor", &["throttle"]),
    ("hickory_resolver", &["names"]),
    ("tokio_rustls", &["listener"]),
    ("psl", &["domain/user"]),
    ("socketioxide_core", &["session/socketio"]),
    ("socketioxide_parser_common", &["session/socketio"]),
    ("store::sqlite", &["app/stores", "store"]),
    ("store::mongo", &["app/stores", "store"]),
    ("use ::redis", &["bus/redis"]),
    ("bus::local", &["app/platform", "bus"]),
    ("bus::redis", &["app/platform", "bus"]),
];

/// What pure modules must not name: then they have no clock, no tasks and no input or output.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net::Tcp",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "rand::",
];
const PURE: &[&str] = &["domain", "warts", "decode", "old_words", "views"];

/// A file of the hub: its path below `src` without the ending, and its code without comments and tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    /// The top module it belongs to.
    fn module(&self) -> &str {
        self.path.split('/').next().expect("a path")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src");
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    let source = |path: PathBuf| {
        let name = path
            .with_extension("")
            .strip_prefix(&root)
            .expect("below the root")
            .to_string_lossy()
            .into_owned();
        let is_test = name
            .split('/')
            .any(|part| part == "tests" || part.ends_with("_tests") || part == "contract");
        (!is_test).then(|| Source {
            path: name,
            code: code(&fs::read_to_string(&path).expect("a source")),
        })
    };
    let sources: Vec<Source> = files.into_iter().filter_map(source).collect();
    assert!(sources.len() > 20, "where is the hub's source?");
    sources
}

/// The text without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let body = match text.find("#[cfg(test)]\nmod ") {
        // A test module in a file of its own leaves a line; what follows it still counts.
        Some(at)
            if text[at..]
                .lines()
                .nth(1)
                .is_some_and(|line| line.ends_with('{')) =>
        {
            &text[..at]
        }
        _ => text,
    };
    let lines = body
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Names that follow `crate::`, also those of a group: `crate::{a::B, c}` names `a` and `c`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let after_word = code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_');
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            _ if after_word => {}
            Some(group) => names.extend(group_names(group)),
            None => names.extend([word(rest)]),
        }
    }
    names.remove("");
    names
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The first name of each item of a group, up to its closing brace.
fn group_names(group: &str) -> Vec<String> {
    let (mut depth, mut at_item, mut names) = (0, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_item = true,
            c if at_item && c.is_alphabetic() => {
                names.push(word(&group[at..]));
                at_item = false;
            }
            _ => {}
        }
    }
    names
}

fn modules_import_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = IMPORTS.iter().copied().collect();
    let sources = sources();
    let mut wrong = Vec::new();
    let mut used: BTreeSet<(String, String)> = BTreeSet::new();
    for source in &sources {
        let module = source.module();
        let Some(allowed) = table.get(module) else {
            wrong.push(format!("{module} is not in the table"));
            continue;
        };
        for name in imports(&source.code)
            .into_iter()
            .filter(|name| name != module && table.contains_key(name.as_str()))
        {
            if !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}.rs imports {name}", source.path));
            }
            used.insert((module.to_owned(), name));
        }
    }
    for (module, allowed) in IMPORTS {
        let unused = |name: &&&str| {
            **name != "lib" && !used.contains(&((*module).to_owned(), (**name).to_owned()))
        };
        // The crate's root names its modules without `crate::`.
        for name in allowed.iter().filter(unused).filter(|_| *module != "lib") {
            wrong.push(format!(
                "the table allows {module} to import {name}, which it does not"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn libraries_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for source in sources() {
        let within = |places: &[&str]| {
            places
                .iter()
                .any(|place| source.path == *place || source.path.starts_with(&format!("{place}/")))
        };
        for (name, places) in BELONGS {
            if source.code.contains(&format!("{name}::")) && !within(places) {
                wrong.push(format!(
                    "{}.rs names {name}, which belongs to {}",
                    source.path,
                    places.join(", ")
                ));
            }
        }
        if within(PURE) {
            for name in IMPURE.iter().filter(|name| source.code.contains(**name)) {
                wrong.push(format!("{}.rs names {name}, but is pure", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
