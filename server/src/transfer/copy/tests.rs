//! What the command cannot show from outside; the rest is tested through the program.

use std::sync::Arc;

use chrono::DateTime;
use tempfile::TempDir;

use super::*;
use crate::store::{NewUser, Stamp, Store, sqlite::SqliteStore};

/// Hears everything.
#[derive(Default)]
struct Heard {
    progress: Vec<(String, u64, u64)>,
    notes: Vec<String>,
}

impl Observer for Heard {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.progress.push((what.to_owned(), done, total));
    }

    fn note(&mut self, line: &str) {
        self.notes.push(line.to_owned());
    }
}

fn store(folder: &TempDir, name: &str) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(&folder.path().join(name), Stamp::Any).unwrap())
}

/// Copies one into the other, each with its name.
async fn carry(
    from: (&Arc<dyn Store>, &str),
    to: (&Arc<dyn Store>, &str),
    heard: &mut Heard,
) -> Result<Copied, CopyError> {
    let [from, to] = [from, to].map(|(store, name)| End {
        store: &**store,
        name,
    });
    copy(from, to, Manner::AsTheyAre, heard).await
}

async fn register(store: &Arc<dyn Store>, users: usize) {
    for number in 0..users {
        let user = NewUser {
            email: format!("u{number}@example.org"),
            password_hash: "hash".to_owned(),
            is_superuser: false,
            created_at: DateTime::<Utc>::UNIX_EPOCH,
        };
        store.create_user(user).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_with_two_names_is_not_copied_into_itself() {
    let folder = tempfile::tempdir().unwrap();
    let one = store(&folder, "one.sqlite");
    let mut heard = Heard::default();
    let copied = carry((&one, "one"), (&one, "also"), &mut heard).await;
    assert!(matches!(copied, Err(CopyError::Nothing(name)) if name == "one"));
    register(&one, 1).await;
    let copied = carry((&one, "one"), (&one, "also"), &mut heard).await;
    assert!(matches!(copied, Err(CopyError::NotEmpty { name, .. }) if name == "also"));
    // A hub may start on it as before.
    assert_eq!(one.unfinished_move().await.unwrap(), None);
}

#[tokio::test]
async fn progress_ends_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (store(&folder, "one.sqlite"), store(&folder, "two.sqlite"));
    let users = PAGE_RECORDS + 1;
    register(&one, users).await;
    let mut heard = Heard::default();
    let copied = carry((&one, "one"), (&two, "two"), &mut heard).await;
    let Copied(carried) = copied.unwrap();
    let all = u64::try_from(users).unwrap();
    let expected = Carried {
        part: Part::Users,
        read: all,
        new: all,
    };
    assert_eq!(carried[0], expected);
    assert_eq!(carried.len(), Part::ALL.len());
    let of_users: Vec<_> = heard
        .progress
        .iter()
        .filter(|(what, ..)| what == "users")
        .map(|(_, done, total)| (*done, *total))
        .collect();
    assert_eq!(of_users, [(0, all), (all - 1, all), (all, all)]);
    let last = heard.progress.last().unwrap();
    assert_eq!(last, &("compared".to_owned(), all, all));
    assert_eq!(heard.notes, [""; 0]);
}

/// Somebody registered at the source with an address that somebody else had there when it was read.
#[tokio::test]
async fn an_address_that_changed_hands_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (store(&folder, "one.sqlite"), store(&folder, "two.sqlite"));
    register(&one, 1).await;
    two.begin_move("one", Utc::now()).await.unwrap();
    register(&two, 1).await;
    let mut heard = Heard::default();
    let copied = carry((&one, "one"), (&two, "two"), &mut heard).await;
    assert!(matches!(
        copied,
        Err(CopyError::Changed { what: "users", .. })
    ));
    assert_eq!(heard.notes.len(), 1);
    assert_eq!(two.unfinished_move().await.unwrap().as_deref(), Some("one"));
}
