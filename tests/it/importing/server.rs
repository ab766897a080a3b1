//! A server that holds the old database.

use std::time::Instant;

use bson::{Document, doc};
use mongodb::Client;
use services::Mongod;
use tests::{Hub, Knock, OldProbe, OldResult, TestUser, database, hub};

use super::bench::{KEY, OldDatabase, bare, command, import, rehearse, run, token};

const PASSWORD: &str = "Hidden-pass";

/// The documents, in a database of this server.
async fn store(client: &Client, name: &str, old: &OldDatabase) {
    let database = client.database(name);
    for (collection, documents) in [
        ("users", &old.users),
        ("probes", &old.probes),
        ("operations", &old.operations),
    ] {
        let collection = database.collection::<Document>(collection);
        // Not in the order of their ids.
        let documents = documents.iter().rev();
        let _ = collection.insert_many(documents).await.expect("a write");
    }
}

fn uri(server: &Mongod, login: &str, rest: &str) -> String {
    format!(
        "mongodb://{login}{}:{}/{rest}",
        server.host(),
        server.port()
    )
}

pub(super) async fn a_server_is_read_by_who_may_only_read() {
    let server = Mongod::with()
        .standalone()
        .auth("root", "root")
        .start()
        .await;
    let client = server.client().await;
    let (old, ids) = OldDatabase::usual();
    store(&client, "pladmed", &old).await;
    let role = doc! { "role": "read", "db": "pladmed" };
    let create = doc! { "createUser": "reader", "pwd": PASSWORD, "roles": [role] };
    let _ = client
        .database("admin")
        .run_command(create)
        .await
        .expect("a user");
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let login = format!("reader:{PASSWORD}@");
    let known = uri(&server, &login, "pladmed?authSource=admin");
    let rehearsed = rehearse(&data, &known).await.expect(0);
    assert!(!data.exists());
    // Where none is named, the database has its usual name.
    let unnamed = uri(&server, &login, "");
    let done = import(&data, &unnamed).await.expect(0);
    for (part, row) in [
        ("users", [4, 4, 0, 0]),
        ("probes", [3, 2, 0, 1]),
        ("operations", [5, 4, 0, 1]),
        ("results", [7, 4, 0, 3]),
    ] {
        assert_eq!((done.row(part), rehearsed.row(part)), (row, row), "{part}");
    }
    database::snapshot(&data).check_imported(&OldDatabase::imported(ids));
    let again = import(&data, &known).await.expect(0);
    assert_eq!(again.row("operations"), [5, 0, 4, 1]);
    // The same as by way of a dump.
    let (other, dump) = (tempfile::tempdir().expect("a folder"), old.dump());
    let _ = import(other.path(), dump.name()).await.expect(0);
    let results = "select operation || seq || document from results order by operation, seq";
    assert_eq!(
        database::snapshot(&data).texts(results),
        database::snapshot(other.path()).texts(results)
    );
    for source in [
        uri(&server, "reader:Hidden-wrong@", "pladmed?authSource=admin"),
        uri(&server, &login, "pladmed"),
        uri(&server, "", "pladmed"),
        uri(&server, &login, "other?authSource=admin"),
    ] {
        let done = import(&folder.path().join("none"), &source).await.expect(1);
        assert!(!done.notes.contains("Hidden"), "{done:?}");
        assert!(done.notes.contains(&server.port().to_string()), "{done:?}");
    }
    // A password that no list of processes shows.
    let mut secret = bare(&folder.path().join("none"));
    secret.env("PLADMED_FROM", &known).arg("--dry-run");
    let rehearsed = run(secret).await.expect(0);
    assert_eq!(rehearsed.row("users"), [4, 4, 0, 0]);
}

pub(super) async fn a_server_with_other_things_is_refused() {
    let server = Mongod::with().standalone().start().await;
    let client = server.client().await;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let other = client.database("other").collection("things");
    let _ = other.insert_one(doc! { "a": 1 }).await.expect("a write");
    let meta = client.database("ours").collection("meta");
    let _ = meta
        .insert_one(doc! { "_id": "schema", "version": 1 })
        .await
        .expect("a write");
    store(&client, "ours", &OldDatabase::usual().0).await;
    store(&client, "old", &OldDatabase::usual().0).await;
    for (name, why) in [
        ("other", "has none of users, probes, operations"),
        ("nothing", "has none of users, probes, operations"),
        ("ours", "a database of this system"),
    ] {
        let done = import(&data, &uri(&server, "", name)).await.expect(2);
        assert!(done.notes.contains(why) && !data.exists(), "{done:?}");
    }
    // The store of the settings is the old database itself.
    let port = server.port().to_string();
    let target = uri(&server, "", "old");
    for settings in [
        vec![
            ("MONGO_HOST", "localhost"),
            ("MONGO_PORT", &port),
            ("MONGO_DATABASE", "old"),
        ],
        vec![("MONGO_URI", target.as_str())],
    ] {
        let mut command = command(&data, &uri(&server, "", "old"));
        command.env("DATABASE", "mongo").envs(settings);
        let done = run(command).await.expect(2);
        assert!(done.notes.contains("name another database"), "{done:?}");
    }
    let names = client.list_database_names().await.expect("names");
    assert!(!names.contains(&"nothing".to_owned()), "{names:?}");
    let left = client.database("old").list_collection_names().await;
    assert_eq!(left.expect("names").len(), 3);
}

pub(super) async fn nobody_waits_for_a_server_that_is_not_there() {
    let mut server = Mongod::with().standalone().start().await;
    let source = uri(
        &server,
        &format!("ana:{PASSWORD}@"),
        "pladmed?serverSelectionTimeoutMS=2000",
    );
    let folder = tempfile::tempdir().expect("a folder");
    server.freeze().await;
    for _ in 0..2 {
        let begun = Instant::now();
        let done = import(folder.path(), &source).await.expect(1);
        assert!(begun.elapsed().as_secs() < 20, "{done:?}");
        assert!(!done.notes.contains(PASSWORD), "{done:?}");
        done.expect_notes(&[&server.port().to_string()]);
        server.kill9().await;
    }
}

pub(super) async fn mongodb_takes_it_too() {
    let server = Mongod::single().await;
    let settings = [("SECRET_KEY", KEY)];
    let mut hub = Hub::on_mongo(&server.uri(), &settings).await;
    assert_eq!(hub.terminate().await, 0);
    let database = hub.mongo().await.expect("a database");
    let (old, ids) = OldDatabase::usual();
    let (dump, imported) = (old.dump(), OldDatabase::imported(ids));
    let (uri, data) = (server.uri(), hub.data_dir());
    let again = || {
        let mut command = command(&data, dump.name());
        let store = [
            ("DATABASE", "mongo"),
            ("MONGO_URI", &uri),
            ("MONGO_DATABASE", database.name()),
        ];
        command.envs(store);
        run(command)
    };
    let whole = std::fs::read(dump.file("operations")).expect("a file");
    std::fs::write(dump.file("operations"), &whole[..whole.len() - 9]).expect("a file");
    let done = again().await.expect(1);
    done.expect_notes(&["the dump is not complete"]);
    std::fs::write(dump.file("operations"), &whole).expect("a file");
    let done = again().await.expect(0);
    assert_eq!(done.row("users"), [4, 0, 4, 0]);
    assert_eq!(done.row("operations"), [5, 4, 0, 1]);
    assert_eq!(done.row("results"), [7, 4, 0, 3]);
    hub.snapshot().await.check_imported(&imported);
    let done = again().await.expect(0);
    assert_eq!(done.row("operations"), [5, 0, 4, 1]);
    assert_eq!(hub.number("select count(*) from results").await, 4);
    hub.restart().await;
    let ana = TestUser::log_in(hub.api(), "ana@example.org", hub::PASSWORD).await;
    assert_eq!(ana.credits().await, 100);
    let mut agent =
        OldProbe::connect_as(&hub, &Knock::new(&token(ids.attic, ids.ana), 121, 15)).await;
    let running = ids.running.to_hex();
    let result = OldResult::new(&running, "new", "warts", b"");
    assert_eq!(agent.deliver(&result).await, serde_json::json!([running]));
    assert_eq!(hub.terminate().await, 0);
    hub.snapshot().await.check_imported(&imported);
}
