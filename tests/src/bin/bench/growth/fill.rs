//! Makes an operation large while its hub is away: copies of its last result, and the counts that go with them.

use bson::{Document, doc};
use mongodb::Database;
use probe_protocol::OperationId;
use rusqlite::Connection;
use tests::{Hub, database};

/// Documents inserted at once.
const AT_ONCE: i64 = 5000;

/// Gives an operation of one probe results until it has so many; it has the first few.
pub(super) async fn up(hub: &Hub, operation: OperationId, has: i64, many: i64) {
    let filled = match hub.mongo().await {
        Some(database) => mongo(&database, operation, has, many).await,
        None => sqlite(&hub.data_dir(), operation, has, many),
    };
    filled.expect("many results");
}

fn sqlite(
    data_dir: &std::path::Path,
    operation: OperationId,
    has: i64,
    many: i64,
) -> Result<(), Box<dyn std::error::Error>> {
    let file = Connection::open(data_dir.join(database::FILE))?;
    let mut columns = file.prepare("select name from pragma_table_info('results')")?;
    let columns: Vec<String> = columns
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let values: Vec<&str> = columns
        .iter()
        .map(|column| match column.as_str() {
            "seq" => "n",
            "code" => "'filled' || n",
            other => other,
        })
        .collect();
    file.execute(
        &format!(
            "with recursive numbers (n) as (select ?2 + 1 union all select n + 1 from numbers where n < ?3)
             insert into results ({}) select {} from results, numbers where operation = ?1 and seq = ?2",
            columns.join(", "),
            values.join(", ")
        ),
        (operation.to_string(), has, many),
    )?;
    file.execute(
        "update assignments set planned_runs = planned_runs + ?2, results = ?2 where operation = ?1",
        (operation.to_string(), many),
    )?;
    file.execute(
        "update operations set last_seq = ?2 where id = ?1",
        (operation.to_string(), many),
    )?;
    file.execute_batch("pragma wal_checkpoint(truncate)")?;
    Ok(())
}

async fn mongo(
    database: &Database,
    operation: OperationId,
    has: i64,
    many: i64,
) -> Result<(), Box<dyn std::error::Error>> {
    let id = bson::oid::ObjectId::parse_str(operation.to_string())?;
    let results = database.collection::<Document>("results");
    let last = doc! { "_id.operation": id, "seq": has };
    let last = results.find_one(last).await?.ok_or("no last result")?;
    let mut next = has + 1;
    while next <= many {
        let end = many.min(next + AT_ONCE - 1);
        let copies = (next..=end).map(|number| -> Result<Document, Box<dyn std::error::Error>> {
            let mut copy = last.clone();
            copy.get_document_mut("_id")?
                .insert("code", format!("filled{number}"));
            copy.insert("seq", number);
            Ok(copy)
        });
        let copies = copies.collect::<Result<Vec<_>, _>>()?;
        results.insert_many(copies).ordered(false).await?;
        next = end + 1;
    }
    let of_operation = doc! { "_id.operation": id };
    let counted = doc! { "$set": { "results": many }, "$inc": { "planned_runs": many } };
    let assignments = database.collection::<Document>("assignments");
    let counted = assignments.update_many(of_operation, counted).await?;
    assert_eq!(counted.modified_count, 1, "its one assignment");
    let numbered = doc! { "$set": { "last_seq": many } };
    let operations = database.collection::<Document>("operations");
    let numbered = operations.update_one(doc! { "_id": id }, numbered).await?;
    assert_eq!(numbered.modified_count, 1, "the operation");
    Ok(())
}
