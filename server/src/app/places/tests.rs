use super::*;

fn parsed(text: &str) -> Place {
    Place::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
}

fn file_of(text: &str) -> PathBuf {
    match parsed(text) {
        Place::File(path) => path,
        Place::Mongo { name, .. } => panic!("{text} is {name}"),
    }
}

#[test]
fn a_path_means_a_folder_or_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    // What there is tells; where there is nothing, the ending.
    fs::create_dir(folder.path().join("odd.sqlite")).unwrap();
    fs::write(folder.path().join("backup"), "").unwrap();
    let cases = [
        ("", "pladmed.sqlite"),
        ("/new", "new/pladmed.sqlite"),
        ("/new.sqlite", "new.sqlite"),
        ("/pladmed.sqlite", "pladmed.sqlite"),
        ("/odd.sqlite", "odd.sqlite/pladmed.sqlite"),
        ("/backup", "backup"),
    ];
    for (given, meant) in cases {
        assert_eq!(
            file_of(&format!("sqlite:{at}{given}")),
            folder.path().join(meant),
            "{given:?}"
        );
    }
    assert_eq!(file_of("sqlite:data"), Path::new("data/pladmed.sqlite"));
}

#[test]
fn a_file_has_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("data")).unwrap();
    fs::write(at.join("data/pladmed.sqlite"), "").unwrap();
    std::os::unix::fs::symlink(at.join("data"), at.join("link")).unwrap();
    fs::hard_link(at.join("data/pladmed.sqlite"), at.join("hard.sqlite")).unwrap();
    let place = |path: &str| parsed(&format!("sqlite:{}/{path}", at.display()));
    let data = place("data");
    for same in ["data/../data", "link", "link/pladmed.sqlite"] {
        assert!(place(same).is(&data), "{same}");
        assert_eq!(place(same).name(), data.name());
    }
    assert!(place("hard.sqlite").is(&data));
    assert!(!place("new").is(&data) && place("new").is(&place("new")));
    assert!(!place("new").is(&parsed("mongodb://h/new")));
}

#[test]
fn a_database_has_a_name_without_secrets() {
    let cases = [
        ("mongodb://h/pladmed", "mongodb://h/pladmed"),
        ("mongodb://h:27018/d?replicaSet=rs0", "mongodb://h:27018/d"),
        (
            "mongodb://ana:p%40ss%2Fw@B.example:1,a.example:2/d?authSource=admin",
            "mongodb://a.example:2,b.example:1/d",
        ),
        (
            "mongodb://ana@[::1]:27017/d_1-x",
            "mongodb://[::1]:27017/d_1-x",
        ),
        ("mongodb://[::1]/d", "mongodb://[::1]/d"),
        (
            "mongodb+srv://ana:pw@c.example.net/d",
            "mongodb+srv://c.example.net/d",
        ),
    ];
    for (text, name) in cases {
        let place = parsed(text);
        assert_eq!(place.name(), name);
        let Place::Mongo { settings, .. } = place else {
            panic!("{text} is a file")
        };
        assert_eq!(settings.server, MongoServer::Uri(text.to_owned()));
    }
    let (one, two) = ("mongodb://ana:pw@a,b/d?w=1", "mongodb://bo:no@B,A/d");
    assert!(parsed(one).is(&parsed(two)));
    assert!(!parsed(one).is(&parsed("mongodb://a,b/other")));
}

#[test]
fn what_is_wrong_is_said_without_secrets() {
    let cases = [
        "",
        "data",
        "sqlite:",
        "postgres://ana:hunter2@h/d",
        "mongodb://",
        "mongodb://h",
        "mongodb://h/",
        "mongodb://h/?replicaSet=hunter2",
        "mongodb://ana:hunter2@h",
        "mongodb://ana:hunter2@h/",
        "mongodb://ana:hunter2/d",
        "mongodb://ana:hunter2/h/d",
        "mongodb://ana:hun/ter2@/d",
        "mongodb://ana:hunter2@h:x/d",
        "mongodb://ana:hunter2@h/d?x=hunter2@y",
        "mongodb://ana:hunter2@h/d/e",
        "mongodb://[nothing]/d",
        "mongodb://a,,b/d",
    ];
    for text in cases {
        let wrong = Place::parse(text).unwrap_err();
        assert!(
            !wrong.contains("hunter2") && !wrong.contains("ter2"),
            "{wrong}"
        );
    }
    // Signs in a password that should have been escaped.
    for text in [
        "mongodb://ana:p@ss@h/d",
        "mongodb://ana:p/ss@h/d",
        "mongodb://ana:p?s@h/d",
    ] {
        assert_eq!(parsed(text).name(), "mongodb://h/d");
    }
}
