//! `/api/v1/operations`: creating, watching and cancelling operations.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use probe_protocol::{
    Kind, OperationId, ProbeId, ResultFormat, Schedule, Target, UserId,
    spec::{DnsParams, PingParams, TracerouteParams},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Ref, RefOr, Schema, schema::AnyOfBuilder},
};

use super::{
    Http, access,
    auth::Caller,
    body::{Idempotency, JsonBody, Page, Params, PathId},
    error::{ApiError, LeftOutView, Problem},
    limits::Gate,
};
use crate::{
    domain::{Assignment, AssignmentState, Offline, Operation, Order, User},
    store::{Created, IdempotencyKey, Opened, Span},
    views::time,
};

/// What a user asks for.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body, which is read field by field so that every wrong field is named"
)]
pub(crate) struct OperationBody {
    kind: Kind,
    /// The kind's parameters; left out is the tool's default.
    params: Option<ParamsBody>,
    /// Addresses or names to measure; for dns the names to ask for, or addresses to look up in reverse.
    #[schema(min_items = 1, max_items = 100)]
    targets: Vec<Target>,
    /// When to run; left out is once, now.
    schedule: Option<ScheduleBody>,
    /// Probes that run it.
    #[schema(min_items = 1, max_items = 10000)]
    probes: Vec<ProbeId>,
    /// What to do with probes that are not connected; left out is skip.
    offline: Option<Offline>,
    /// How documents are made; left out is json.
    result_format: Option<ResultFormat>,
}

/// Parameters of one kind. Any of, not one of: without a parameter they all look alike.
pub(crate) struct ParamsBody;

impl PartialSchema for ParamsBody {
    fn schema() -> RefOr<Schema> {
        let of = |name| Ref::from_schema_name(name);
        let kinds = AnyOfBuilder::new()
            .item(of(PingParams::name()))
            .item(of(TracerouteParams::name()))
            .item(of(DnsParams::name()));
        Schema::AnyOf(kinds.build()).into()
    }
}

impl ToSchema for ParamsBody {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PingParams::name().into(), PingParams::schema()));
        schemas.push((TracerouteParams::name().into(), TracerouteParams::schema()));
        schemas.push((DnsParams::name().into(), DnsParams::schema()));
        PingParams::schemas(schemas);
        TracerouteParams::schemas(schemas);
        DnsParams::schemas(schemas);
    }
}

/// When to run.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body, which is read field by field so that every wrong field is named"
)]
pub(crate) struct ScheduleBody {
    /// Five fields, UTC.
    #[schema(example = "*/5 * * * *")]
    cron: String,
    /// Runs at each instant, spread over the minute; left out is 1.
    #[schema(minimum = 1, maximum = 60)]
    times_per_minute: Option<u32>,
    /// All instants lie before it; at most 366 days from now.
    stop_time: DateTime<Utc>,
}

/// An operation as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct OperationView {
    id: OperationId,
    owner: UserId,
    kind: Kind,
    #[schema(value_type = Object)]
    params: Value,
    targets: Vec<Target>,
    schedule: Option<Schedule>,
    result_format: ResultFormat,
    offline: Offline,
    state: OperationState,
    /// Price of one run on one probe, credits.
    run_price: u32,
    /// Runs planned on each probe when it was created.
    planned_runs: u32,
    /// Credits charged when it was created.
    charged: i64,
    /// Credits given back since.
    refunded: i64,
    /// Results so far; also the number of the newest one.
    results: u64,
    #[serde(serialize_with = "time::write")]
    created_at: DateTime<Utc>,
    /// Assignments that were not delivered by then expire.
    #[serde(serialize_with = "time::write")]
    expires_at: DateTime<Utc>,
    #[serde(serialize_with = "time::write_some")]
    cancelled_at: Option<DateTime<Utc>>,
    /// When the last assignment ended.
    #[serde(serialize_with = "time::write_some")]
    ended_at: Option<DateTime<Utc>>,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationState {
    /// Some probe still has something to do.
    Ongoing,
    /// Every assignment has ended.
    Finished,
    /// Its owner cancelled it.
    Cancelled,
}

impl From<Operation> for OperationView {
    fn from(operation: Operation) -> Self {
        let Operation {
            plan,
            charged,
            refunded,
            last_seq,
            cancelled_at,
            ended_at,
        } = operation;
        let state = match (cancelled_at, ended_at) {
            (Some(_), _) => OperationState::Cancelled,
            (None, Some(_)) => OperationState::Finished,
            (None, None) => OperationState::Ongoing,
        };
        Self {
            id: plan.id,
            owner: plan.owner,
            kind: plan.kind,
            params: plan.params,
            targets: plan.targets,
            schedule: plan.schedule,
            result_format: plan.result_format,
            offline: plan.offline,
            state,
            run_price: plan.run_price,
            planned_runs: plan.planned_runs,
            charged,
            refunded,
            results: last_seq,
            created_at: plan.created_at,
            expires_at: plan.expires_at,
            cancelled_at,
            ended_at,
        }
    }
}

/// One operation on one probe.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AssignmentView {
    probe: ProbeId,
    state: AssignmentState,
    /// Why the probe refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Runs that are paid for: planned less given back.
    planned_runs: u32,
    /// Results stored.
    results: u32,
    #[serde(serialize_with = "time::write_some")]
    delivered_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "time::write_some")]
    accepted_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "time::write_some")]
    ended_at: Option<DateTime<Utc>>,
}

impl From<Assignment> for AssignmentView {
    fn from(assignment: Assignment) -> Self {
        let Assignment {
            probe,
            state,
            reason,
            planned_runs,
            results,
            delivered_at,
            accepted_at,
            ended_at,
            ..
        } = assignment;
        Self {
            probe,
            state,
            reason,
            planned_runs,
            results,
            delivered_at,
            accepted_at,
            ended_at,
        }
    }
}

/// An operation with its assignments.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct OperationDetail {
    #[serde(flatten)]
    operation: OperationView,
    /// One for each probe, in the order of the probes' ids.
    assignments: Vec<AssignmentView>,
}

/// An operation that was just created.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CreatedOperation {
    #[serde(flatten)]
    operation: OperationView,
    /// Probes that were assigned.
    probes: Vec<ProbeId>,
    /// Probes that were asked for and left out, and why.
    left_out: Vec<LeftOutView>,
}

/// The caller's own operation, or any for a superuser.
pub(crate) async fn readable(
    http: &Http,
    user: &User,
    id: OperationId,
) -> Result<Operation, ApiError> {
    let operation = http.store.operation(id).await?.ok_or(ApiError::NotFound)?;
    allowed(user, operation)
}

/// The same for one that was read.
pub(crate) fn allowed(user: &User, operation: Operation) -> Result<Operation, ApiError> {
    if user.may_read(operation.plan.owner) {
        Ok(operation)
    } else {
        Err(ApiError::Forbidden)
    }
}

/// An operation as it is shown, with its assignments.
pub(crate) async fn detail(http: &Http, operation: Operation) -> Result<OperationDetail, ApiError> {
    let assignments = http.store.assignments(operation.plan.id).await?;
    Ok(detailed(operation, assignments))
}

fn detailed(operation: Operation, assignments: Vec<Assignment>) -> OperationDetail {
    OperationDetail {
        operation: operation.into(),
        assignments: assignments.into_iter().map(AssignmentView::from).collect(),
    }
}

/// Creates an operation; both faces do.
pub(crate) async fn open(
    http: &Http,
    user: &User,
    order: Order,
    key: Option<IdempotencyKey>,
) -> Result<Opened, ApiError> {
    let created = http.launch.run(user.id, order, key).await?;
    if let Created::New(opened) = &created {
        let plan = &opened.operation.plan;
        access::about("operation.id", plan.id);
        tracing::info!(operation.id = %plan.id, user.id = %user.id, kind = %plan.kind, probes = opened.probes.len(),
            credits = opened.operation.charged, "operation created");
    }
    Ok(created.into_inner())
}

/// Creates an operation: charges the caller and sends it to the probes.
#[utoipa::path(post, operation_id = "create_operation", path = "/api/v1/operations", tag = "operations",
    security(("token" = [])), request_body = OperationBody,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 200,
        description = "the same key and body create one operation, within a day")),
    responses((status = 201, body = CreatedOperation,
            links(("show" = (operation_id = "show_operation", parameters(("id" = "$response.body#/id")))))),
        (status = 402, description = "not enough credits", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "no probe can take it", body = Problem, content_type = "application/problem+json"),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 408, response = Problem),
        (status = 409, response = Problem), (status = 413, response = Problem), (status = 429, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn create(
    State(http): State<Http>,
    Caller(user): Caller,
    gate: Gate,
    idempotency: Idempotency,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<CreatedOperation>), ApiError> {
    gate.creates(&user).await?;
    let order = Order::read(&body, http.target_policy, Utc::now())?;
    let key = idempotency.of(user.id, "operation", &body);
    let opened = open(&http, &user, order, key).await?;
    let left_out = opened.left_out.into_iter().map(LeftOutView::from).collect();
    let view = CreatedOperation {
        operation: opened.operation.into(),
        probes: opened.probes,
        left_out,
    };
    Ok((StatusCode::CREATED, Json(view)))
}

/// The caller's operations, newest first; a superuser sees everyone's with `all=true`.
#[utoipa::path(get, operation_id = "list_operations", path = "/api/v1/operations", tag = "operations",
    security(("token" = [])),
    params(("all" = Option<bool>, Query, description = "everyone's, for superusers"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, body = Page<OperationView>),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn list(
    State(http): State<Http>,
    Caller(user): Caller,
    mut params: Params,
) -> Result<Json<Page<OperationView>>, ApiError> {
    let (limit, before) = (params.limit(), params.cursor());
    let all = params.flag("all").unwrap_or(false);
    params.finish()?;
    if all && !user.is_superuser {
        return Err(ApiError::Forbidden);
    }
    let owner = (!all).then_some(user.id);
    let operations = http
        .store
        .operations(owner, Span::Before(before), limit + 1)
        .await?;
    Ok(Json(Page::of(
        operations,
        limit,
        |operation| operation.plan.id.to_string(),
        OperationView::from,
    )))
}

/// One operation with each assignment's delivery state.
#[utoipa::path(get, operation_id = "show_operation", path = "/api/v1/operations/{id}", tag = "operations",
    security(("token" = [])),
    params(("id" = OperationId, Path)),
    responses((status = 200, body = OperationDetail),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn show(
    State(http): State<Http>,
    PathId(id): PathId<OperationId>,
    Caller(user): Caller,
) -> Result<Json<OperationDetail>, ApiError> {
    let found = http.store.whole_operation(id, user.limited_to()).await?;
    let (operation, assignments) = found.ok_or(ApiError::NotFound)?;
    Ok(Json(detailed(allowed(&user, operation)?, assignments)))
}

/// Cancels an operation: probes are told, the unspent part is given back. Cancelling again changes nothing.
#[utoipa::path(delete, operation_id = "cancel_operation", path = "/api/v1/operations/{id}", tag = "operations",
    security(("token" = [])),
    params(("id" = OperationId, Path)),
    responses((status = 200, body = OperationDetail),
        (status = 401, response = Problem), (status = 403, response = Problem), (status = 404, response = Problem),
        (status = 503, response = Problem)))]
pub(crate) async fn cancel(
    State(http): State<Http>,
    PathId(id): PathId<OperationId>,
    Caller(user): Caller,
) -> Result<Json<OperationDetail>, ApiError> {
    let operation = readable(&http, &user, id).await?;
    let cancelled = http
        .launch
        .cancel(operation.plan.id)
        .await?
        .ok_or(ApiError::NotFound)?;
    Ok(Json(detail(&http, cancelled).await?))
}
