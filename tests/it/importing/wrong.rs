//! What is no old database, or not all of one.

use std::fs;

use bson::doc;
use tests::database;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::bench::{OldDatabase, import, rehearse};

pub(super) async fn what_is_no_old_database_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (old, _) = OldDatabase::usual();
    let ours = old.dump();
    ours.write("meta", &[doc! { "_id": "schema", "version": 1 }]);
    let empty = tempfile::tempdir().expect("a folder");
    let text = old.dump();
    fs::write(text.file("probes"), "this is no dump of anything").expect("a file");
    for (source, why) in [
        ("/nowhere/at/all", "No such file"),
        (ours.name(), "a database of this system"),
        (empty.path().to_str().expect("a path"), "has none of"),
        (text.name(), "probes.bson"),
        ("mongodb://", "the connection string: "),
        (
            "mongodb://ana:Hidden-pass@127.0.0.1:x/pladmed",
            "the connection string: ",
        ),
    ] {
        for done in [import(&data, source).await, rehearse(&data, source).await] {
            let done = done.expect(2);
            assert!(done.notes.contains(why), "{source}: {done:?}");
            assert!(!done.notes.contains("Hidden-pass"), "{done:?}");
            assert!(done.out.is_empty() && !data.exists(), "{done:?}");
        }
    }
}

pub(super) async fn a_dump_that_was_cut_is_taken_up_again() {
    let (old, ids) = OldDatabase::usual();
    let (dump, folder) = (old.dump(), tempfile::tempdir().expect("a folder"));
    let whole = fs::read(dump.file("operations")).expect("a file");
    fs::write(dump.file("operations"), &whole[..whole.len() / 2]).expect("a file");
    let done = import(folder.path(), dump.name()).await.expect(1);
    done.expect_notes(&["operations.bson: ends in the middle of a document"]);
    fs::write(dump.file("operations"), &whole).expect("a file");
    let done = import(folder.path(), dump.name()).await.expect(0);
    assert_eq!(done.row("users"), [4, 0, 4, 0]);
    assert_eq!(done.row("operations")[1..], [4, 0, 1]);
    database::snapshot(folder.path()).check_imported(&OldDatabase::imported(ids));
}

pub(super) async fn a_server_that_is_too_old_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(greet_as_3_6(socket));
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let source = format!("mongodb://{address}/pladmed?directConnection=true");
    let done = import(folder.path(), &source).await.expect(2);
    done.expect_notes(&["mongodump", "4.4", &address.to_string()]);
}

/// What a server of the version that the old system ran on answers whoever greets it: OP_MSG of MongoDB's wire protocol.
async fn greet_as_3_6(mut socket: TcpStream) -> std::io::Result<()> {
    const OP_MSG: i32 = 2013;
    let hello = doc! {
        "ismaster": true, "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
        "localTime": bson::DateTime::now(), "minWireVersion": 0, "maxWireVersion": 6, "readOnly": false, "ok": 1.0,
    };
    let hello = bson::serialize_to_vec(&hello).expect("a document");
    loop {
        let mut header = [0; 16];
        socket.read_exact(&mut header).await?;
        let [length, id] = [0, 4].map(|at| {
            let bytes = header[at..at + 4].try_into().expect("four bytes");
            i32::from_le_bytes(bytes)
        });
        let mut rest = vec![0; usize::try_from(length).expect("a length") - header.len()];
        socket.read_exact(&mut rest).await?;
        // No flags, one section of one document.
        let fields = [0; 5].to_vec();
        let length = i32::try_from(header.len() + fields.len() + hello.len()).expect("a length");
        let header = [length, 0, id, OP_MSG].map(i32::to_le_bytes).concat();
        socket
            .write_all(&[header, fields, hello.clone()].concat())
            .await?;
    }
}
