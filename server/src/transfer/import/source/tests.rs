//! Folders of dumps, good ones and others.

use std::{fs, io::Write as _, path::Path};

use bson::doc;
use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::config::{MongoServer, MongoSettings, Password};

fn dump(documents: &[Document]) -> Vec<u8> {
    let bytes = documents
        .iter()
        .map(|it| bson::serialize_to_vec(it).unwrap());
    bytes.flatten().collect()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).unwrap();
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

async fn open(folder: &Path) -> Result<Source, SourceError> {
    Source::open(folder.to_str().unwrap()).await
}

async fn wrong(folder: &Path) -> String {
    match open(folder).await {
        Err(SourceError::Wrong(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// The numbers in the documents of a collection, as far as they can be read.
async fn numbers(source: &Source, collection: Collection) -> Result<Vec<i32>, SourceError> {
    let mut documents = source.documents(collection).await?;
    let mut numbers = Vec::new();
    while let Some(document) = documents.next().await? {
        numbers.push(document.get_i32("n").unwrap());
    }
    Ok(numbers)
}

#[tokio::test]
async fn documents_come_one_after_the_other() {
    let folder = folder();
    let documents: Vec<Document> = (0..1000).map(|n| doc! { "n": n, "x": "y" }).collect();
    write(folder.path(), "users.bson", &dump(&documents));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&dump(&documents)).unwrap();
    write(folder.path(), "probes.bson.gz", &packed.finish().unwrap());
    let source = open(folder.path()).await.unwrap();
    for collection in [Collection::Users, Collection::Probes] {
        let found = numbers(&source, collection).await.unwrap();
        assert_eq!(found, (0..1000).collect::<Vec<_>>());
    }
    let none = numbers(&source, Collection::Operations).await.unwrap();
    assert!(none.is_empty());
    assert_eq!(source.count(Collection::Users).await, Ok(1000));
    assert_eq!(source.count(Collection::Probes).await, Ok(0));
    assert_eq!(source.count(Collection::Operations).await, Ok(0));
}

#[tokio::test]
async fn a_dump_that_was_cut_says_so() {
    let whole = dump(&[doc! { "n": 1 }, doc! { "n": 2 }]);
    for length in whole.len() / 2 + 1..whole.len() {
        let folder = folder();
        write(folder.path(), "users.bson", &whole[..length]);
        let source = open(folder.path()).await.unwrap();
        let found = numbers(&source, Collection::Users).await;
        let Err(SourceError::Failed(why)) = found else {
            panic!("{found:?}")
        };
        assert!(why.contains("users.bson: ends in the middle"), "{why}");
    }
}

#[tokio::test]
async fn what_is_no_old_database_is_refused() {
    let gone = folder();
    let path = gone.path().join("gone");
    assert!(wrong(&path).await.contains("No such file"));
    let empty = folder();
    assert!(
        wrong(empty.path())
            .await
            .contains("has none of users, probes, operations")
    );
    fs::create_dir(empty.path().join("pladmed")).unwrap();
    write(&empty.path().join("pladmed"), "users.bson", b"");
    let why = wrong(empty.path()).await;
    assert!(
        why.contains("did you mean") && why.contains("/pladmed?"),
        "{why}"
    );
    assert!(open(&empty.path().join("pladmed")).await.is_ok());
    let file = empty.path().join("pladmed/users.bson");
    assert!(wrong(&file).await.contains("is not a folder"));
    let ours = folder();
    write(ours.path(), "users.bson", b"");
    write(
        ours.path(),
        "meta.bson",
        &dump(&[doc! { "_id": "x" }, doc! { "_id": "schema", "version": 1 }]),
    );
    assert!(
        wrong(ours.path())
            .await
            .contains("a database of this system")
    );
    for bytes in [
        &b"\x03\0\0\0"[..],
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x7f and so on",
        b"some text of a file that is no dump",
        b"\x08\0\0\0\x01\x02\x03\x04",
    ] {
        let folder = folder();
        write(folder.path(), "operations.bson", bytes);
        let why = wrong(folder.path()).await;
        assert!(why.contains("operations.bson: "), "{why}");
    }
    let packed = folder();
    write(packed.path(), "users.bson.gz", b"no gzip");
    assert!(wrong(packed.path()).await.contains("users.bson.gz"));
}

#[tokio::test]
async fn connection_strings_that_are_wrong_show_no_password() {
    for uri in [
        "mongodb://ana:Hidden-pass@127.0.0.1:x/pladmed",
        "mongodb://ana:Hidden-p%ZZss@127.0.0.1/pladmed",
        "mongodb://ana:Hidden@pass/@127.0.0.1/pladmed?x=Hidden",
        "mongodb://ana:Hidden-pass@127.0.0.1/pladmed?authMechanism=Hidden-none",
    ] {
        let Err(SourceError::Wrong(why)) = Source::open(uri).await else {
            panic!("{uri}")
        };
        assert!(!why.contains("Hidden-p") && !why.contains("ana:"), "{why}");
    }
}

#[tokio::test]
async fn a_folder_is_never_where_the_store_is() {
    let folder = folder();
    write(folder.path(), "users.bson", b"");
    let source = open(folder.path()).await.unwrap();
    assert!(!source.is_in(&Database::Sqlite));
    let server = MongoServer::Hosts {
        hosts: vec![("localhost".into(), 27017)],
        login: Some(("ana".into(), Password("x".into()))),
    };
    let database = None;
    assert!(!source.is_in(&Database::Mongo(MongoSettings { server, database })));
}
