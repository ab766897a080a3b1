-- Identifiers are 24 hexadecimal digits, times are milliseconds since 1970-01-01 UTC (columns `_ms`), clocks are
-- microseconds (`_us`), documents are JSON text, `raw` holds the bytes as a probe sent them.

create table users (
    id            text    not null primary key,
    email         text    not null unique,
    password_hash text    not null,
    is_superuser  integer not null check (is_superuser in (0, 1)),
    credits       integer not null default 0 check (credits >= 0),
    created_at_ms integer not null
) strict, without rowid;

create table probes (
    id               text    not null primary key,
    owner            text    not null references users (id),
    name             text,
    longitude        real    not null,
    latitude         real    not null,
    token_generation integer not null default 1,
    created_at_ms    integer not null,
    -- A deleted probe stays for its results and is left out everywhere else.
    deleted_at_ms    integer,
    last_seen_ms     integer,
    agent            text,
    agent_version    text,
    capabilities     text,
    total_credits    integer,
    -- Sum of run_price over its open assignments.
    load             integer not null default 0 check (load >= 0)
) strict, without rowid;

create index probes_of_owner on probes (owner, id) where deleted_at_ms is null;

create table operations (
    id               text    not null primary key,
    owner            text    not null references users (id),
    kind             text    not null,
    result_format    text    not null,
    offline          text    not null,
    run_price        integer not null check (run_price >= 0),
    planned_runs     integer not null check (planned_runs >= 1),
    charged          integer not null check (charged >= 0),
    refunded         integer not null default 0 check (refunded between 0 and charged),
    last_seq         integer not null default 0,
    open_assignments integer not null check (open_assignments >= 0),
    created_at_ms    integer not null,
    expires_at_ms    integer not null,
    stop_time_ms     integer,
    cancelled_at_ms  integer,
    ended_at_ms      integer,
    -- The long ones last, so that counting a result does not read through them.
    schedule         text,
    params           text    not null,
    targets          text    not null
) strict;

create index operations_of_owner on operations (owner, id);

create table assignments (
    operation       text    not null references operations (id),
    probe           text    not null references probes (id),
    state           text    not null check (state in
        ('pending', 'delivered', 'accepted', 'finished', 'refused', 'cancelled', 'expired')),
    planned_runs    integer not null check (planned_runs >= 0),
    results         integer not null default 0 check (results between 0 and planned_runs),
    created_at_ms   integer not null,
    delivered_at_ms integer,
    accepted_at_ms  integer,
    ended_at_ms     integer,
    -- When time alone ends it; null once it has ended.
    ends_at_ms      integer,
    reason          text,
    primary key (operation, probe),
    check ((ended_at_ms is null) = (state in ('pending', 'delivered', 'accepted'))),
    check ((ended_at_ms is null) = (ends_at_ms is not null))
) strict, without rowid;

-- What is open on a probe, and what is pending of it, oldest first.
create index assignments_open on assignments (probe, state, created_at_ms, operation) where ended_at_ms is null;
create index assignments_overdue on assignments (ends_at_ms) where ended_at_ms is null;

create table results (
    operation       text    not null,
    seq             integer not null check (seq >= 1),
    probe           text    not null,
    code            text    not null,
    format          text    not null,
    undecoded       integer not null,
    measured        integer not null check (measured in (0, 1)),
    rewarded        integer not null check (rewarded in (0, 1)),
    received_at_ms  integer not null,
    started_at_ms   integer not null,
    finished_at_ms  integer not null,
    clock_offset_us integer,
    clock_error_us  integer,
    summary         text    not null,
    -- The big ones last: a reader of the others does not follow their overflow pages.
    document        text    not null,
    raw             blob    not null,
    unique (operation, seq),
    unique (operation, probe, code),
    foreign key (operation, probe) references assignments (operation, probe)
) strict;

create table ledger (
    id        integer primary key,
    user      text    not null references users (id),
    amount    integer not null,
    balance   integer not null check (balance >= 0),
    reason    text    not null check (reason in ('grant', 'charge', 'refund', 'reward')),
    operation text    references operations (id),
    probe     text    references probes (id),
    at_ms     integer not null
) strict;

create index ledger_of_user on ledger (user, id);

create table idempotency_keys (
    user          text    not null references users (id),
    key           text    not null,
    fingerprint   text    not null,
    -- What the request created or changed.
    subject       text    not null,
    -- What its answer said beside the subject: JSON, or null.
    answer        text,
    created_at_ms integer not null,
    primary key (user, key)
) strict, without rowid;

create index idempotency_keys_by_age on idempotency_keys (created_at_ms);
