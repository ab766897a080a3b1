//! `/traceroute`, `/ping`, `/dns`, `/operation`, `/operations` and `/operations/me`.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use axum::{
    body::Bytes,
    extract::{FromRequestParts, Query, State, rejection::QueryRejection},
    http::{StatusCode, request::Parts},
    response::Response,
};
use chrono::Utc;
use probe_protocol::{Kind, OperationId, ProbeId, UserId};
use serde_json::{Map, Value, json};

use super::{
    super::{Http, auth::Caller, error::ApiError, operations},
    Old, answer, compact,
    error::{BAD_DATA, OldError},
    probes,
    stream::{self, Source},
};
use crate::{
    domain::{Operation, Probe, User},
    old_words::{
        self,
        asking::{self, Wrong},
    },
    store::{ResultRow, Span, StoreError},
};

/// Operations read from the store at a time.
const AT_ONCE: usize = 100;
/// Results read from the store at a time, at most so many and so many bytes of documents.
const RESULTS_AT_ONCE: usize = 200;
const BYTES_AT_ONCE: usize = 256 * 1024;

/// An operation in the old words, without results.
fn view(operation: &Operation, probes: &[&Probe]) -> Map<String, Value> {
    let plan = &operation.plan;
    let probes: Vec<Value> = probes
        .iter()
        .map(|probe| probes::view(probe).into())
        .collect();
    let mut map = Map::new();
    map.insert("_id".to_owned(), json!(plan.id));
    map.insert("credits".to_owned(), json!(operation.charged));
    map.insert("params".to_owned(), old_words::params(plan));
    map.insert("probes".to_owned(), probes.into());
    map.insert(
        "result_format".to_owned(),
        old_words::result_format(plan.kind, plan.result_format).into(),
    );
    map
}

/// The same with the probes that run it, as far as they were not deleted.
async fn with_probes(http: &Http, operation: &Operation) -> Result<Map<String, Value>, StoreError> {
    let assignments = http.store.assignments(operation.plan.id).await?;
    let ids = assignments.iter().map(|assignment| assignment.probe);
    let mut probes = http.store.probes_by_id(ids.collect()).await?;
    probes.sort_unstable_by_key(|probe| probe.id);
    Ok(view(operation, &probes.iter().collect::<Vec<_>>()))
}

/// `POST /traceroute`, `/ping` and `/dns`: 201 with the operation.
pub(super) async fn create(
    http: &Http,
    user: &User,
    kind: Kind,
    body: &Value,
) -> Result<Response, OldError> {
    let order = asking::read(kind, body, http.target_policy, Utc::now());
    let order = order.map_err(|wrong| match wrong {
        Wrong::Data => OldError::bad(BAD_DATA),
        Wrong::Probes => OldError::missing(BAD_DATA),
    })?;
    let asked = order.probes.clone();
    let count = asked.len();
    let known = http.store.probes_by_id(asked).await?;
    if known.len() < count {
        return Err(OldError::missing(BAD_DATA));
    }
    let known: HashMap<ProbeId, Probe> = known.into_iter().map(|probe| (probe.id, probe)).collect();
    let opened = operations::open(http, user, order, None).await?;
    let probes: Vec<&Probe> = opened
        .probes
        .iter()
        .filter_map(|id| known.get(id))
        .collect();
    let mut map = view(&opened.operation, &probes);
    map.insert("results".to_owned(), json!([]));
    Ok(answer(StatusCode::CREATED, map.into()))
}

/// Who may read an operation by its identifier: everyone, or where that is switched off, this user.
pub(super) struct Reader(Option<User>);

impl FromRequestParts<Http> for Reader {
    type Rejection = OldError;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, OldError> {
        if http.public_operations {
            return Ok(Self(None));
        }
        let Caller(user) = Caller::from_request_parts(parts, http).await?;
        Ok(Self(Some(user)))
    }
}

/// `GET /operation?id=`: the operation with all its results.
pub(super) async fn show(
    State(http): State<Http>,
    Reader(reader): Reader,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, OldError> {
    let missing = || OldError::missing("Operation doesn't exist");
    let Query(pairs) = query.unwrap_or_default();
    let id = pairs.iter().find(|(name, _)| name == "id");
    let id = id.and_then(|(_, id)| id.parse().ok());
    let operation = http.store.operation(id.ok_or_else(missing)?).await?;
    let operation = operation
        .filter(|operation| {
            let owner = operation.plan.owner;
            reader.as_ref().is_none_or(|user| user.may_read(owner))
        })
        .ok_or_else(missing)?;
    let head = compact(with_probes(&http, &operation).await?.into());
    let head = head.strip_suffix('}').unwrap_or(&head);
    // Of all members, the results come last.
    let head = format!("{head},\"results\":[");
    let results = Results {
        http,
        id: operation.plan.id,
        last: 0,
        newest: operation.last_seq,
    };
    stream::around(head, results, "]}\n").await
}

/// The results there are when they are asked for, page by page.
struct Results {
    http: Http,
    id: OperationId,
    last: u64,
    newest: u64,
}

#[async_trait]
impl Source for Results {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        if self.last >= self.newest {
            return Ok(None);
        }
        let store = &self.http.store;
        let rows = store
            .results(self.id, self.last, RESULTS_AT_ONCE, BYTES_AT_ONCE)
            .await?;
        self.last = rows.last().map_or(self.newest, |row| row.seq);
        // A document may have megabytes: too much work to do between two others.
        let items = tokio::task::spawn_blocking(move || {
            let items: Result<Vec<String>, ApiError> = rows.iter().map(item).collect();
            Ok((!rows.is_empty()).then_some(items?.join(",").into()))
        });
        items
            .await
            .map_err(|error| ApiError::Internal(error.to_string()))?
    }
}

fn item(row: &ResultRow) -> Result<String, ApiError> {
    let document: Value = serde_json::from_str(&row.result.document)?;
    Ok(compact(json!({ "probe": row.probe, "results": document })))
}

/// `GET /operations/me`: the caller's, oldest first. Results are left to `/operation`.
pub(super) async fn mine(
    State(http): State<Http>,
    Old(Caller(user)): Old<Caller>,
) -> Result<Response, OldError> {
    stream::array(Operations::of(http, Some(user.id), true)).await
}

/// `GET /operations`: the caller's, everyone's for a superuser.
pub(super) async fn list(
    State(http): State<Http>,
    Old(Caller(user)): Old<Caller>,
) -> Result<Response, OldError> {
    let owner = (!user.is_superuser).then_some(user.id);
    stream::array(Operations::of(http, owner, false)).await
}

/// Operations, one by one: each may have thousands of probes.
struct Operations {
    http: Http,
    owner: Option<UserId>,
    /// Whether they show results: none, but a place for them.
    with_results: bool,
    last: Option<OperationId>,
    ready: VecDeque<Operation>,
}

impl Operations {
    fn of(http: Http, owner: Option<UserId>, with_results: bool) -> Self {
        Self {
            http,
            owner,
            with_results,
            last: None,
            ready: VecDeque::new(),
        }
    }
}

#[async_trait]
impl Source for Operations {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        if self.ready.is_empty() {
            let store = Arc::clone(&self.http.store);
            let span = Span::After(self.last);
            self.ready = store.operations(self.owner, span, AT_ONCE).await?.into();
            self.last = self.ready.back().map(|operation| operation.plan.id);
        }
        let Some(operation) = self.ready.pop_front() else {
            return Ok(None);
        };
        let mut map = with_probes(&self.http, &operation).await?;
        if self.with_results {
            map.insert("results".to_owned(), json!([]));
        }
        Ok(Some(compact(map.into()).into()))
    }
}
