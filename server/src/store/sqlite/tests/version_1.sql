-- A store as the first schema kept it: `noon` is the time that all happened at, in milliseconds. Ana pays, Bo hosts.
insert into users (id, email, password_hash, is_superuser, credits, created_at_ms) values
    ('0000000000000000000000a1', 'ana@example.org', 'hash', 1, 942, noon),
    ('0000000000000000000000b0', 'bo@example.org', 'hash', 0, 20, noon);

insert into probes (id, owner, name, longitude, latitude, created_at_ms, deleted_at_ms, last_seen_ms, agent,
    agent_version, capabilities, total_credits, load) values
    ('0000000000000000000000c1', '0000000000000000000000b0', 'attic', 1.5, -2.5, noon, null, noon, 'pladmed-probe',
        '1.0', '["ping"]', 70, 4),
    ('0000000000000000000000c2', '0000000000000000000000b0', null, 0, 0, noon, null, null, null, null, null, null, 2),
    ('0000000000000000000000c3', '0000000000000000000000b0', null, 0, 0, noon, noon, null, null, null, null, null, 0);

-- The first repeats and runs, the second ran once, the third waits to run once, the fourth was cancelled.
insert into operations (id, owner, kind, result_format, offline, run_price, planned_runs, charged, refunded, last_seq,
    open_assignments, created_at_ms, expires_at_ms, stop_time_ms, cancelled_at_ms, ended_at_ms, schedule, params,
    targets) values
    ('0000000000000000000000d1', '0000000000000000000000a1', 'ping', 'json', 'skip', 2, 9, 36, 0, 1, 2, noon,
        noon + 600000, noon + 600000, null, null,
        '{"cron":"* * * * *","times_per_minute":1,"stop_time":"2026-03-01T12:10:00Z"}',
        '{"probecount":3}', '["192.0.2.1","example.org"]'),
    ('0000000000000000000000d2', '0000000000000000000000a1', 'dns', 'json', 'queue', 20, 1, 20, 0, 1, 0, noon,
        noon + 86400000, null, null, noon + 60000, null, '{}', '["192.0.2.1","example.org"]'),
    ('0000000000000000000000d3', '0000000000000000000000a1', 'ping', 'dump', 'skip', 2, 1, 2, 0, 0, 1, noon,
        noon + 86400000, null, null, null, null, '{}', '["192.0.2.1","example.org"]'),
    ('0000000000000000000000d4', '0000000000000000000000a1', 'ping', 'json', 'skip', 2, 9, 18, 18, 0, 0, noon,
        noon + 600000, noon + 600000, noon + 1000, noon + 1000,
        '{"cron":"* * * * *","times_per_minute":1,"stop_time":"2026-03-01T12:10:00Z"}',
        '{}', '["192.0.2.1","example.org"]');

insert into assignments (operation, probe, state, planned_runs, results, created_at_ms, delivered_at_ms,
    accepted_at_ms, ended_at_ms, ends_at_ms, reason) values
    ('0000000000000000000000d1', '0000000000000000000000c1', 'accepted', 9, 1, noon, noon, noon, null,
        noon + 900000, null),
    ('0000000000000000000000d1', '0000000000000000000000c2', 'pending', 9, 0, noon, null, null, null,
        noon + 600000, null),
    ('0000000000000000000000d2', '0000000000000000000000c2', 'finished', 1, 1, noon, noon, noon, noon + 60000,
        null, null),
    ('0000000000000000000000d3', '0000000000000000000000c1', 'pending', 1, 0, noon, null, null, null,
        noon + 86400000, null),
    ('0000000000000000000000d4', '0000000000000000000000c3', 'cancelled', 0, 0, noon, null, null, noon + 1000,
        null, null);

insert into results (operation, seq, probe, code, format, undecoded, measured, rewarded, received_at_ms,
    started_at_ms, finished_at_ms, clock_offset_us, clock_error_us, summary, document, raw) values
    ('0000000000000000000000d1', 1, '0000000000000000000000c1', 'a', 'warts', 0, 1, 1, noon + 60000, noon + 60000,
        noon + 61000, 5, 7, '{}', '[]', x'1205'),
    ('0000000000000000000000d2', 1, '0000000000000000000000c2', 'a', 'gzip', 0, 1, 1, noon + 60000, noon + 60000,
        noon + 61000, null, null, '{}', '[]', x'1f8b');

insert into ledger (id, user, amount, balance, reason, operation, probe, at_ms) values
    (1, '0000000000000000000000a1', 1000, 1000, 'grant', null, null, noon),
    (2, '0000000000000000000000a1', -36, 964, 'charge', '0000000000000000000000d1', null, noon),
    (3, '0000000000000000000000a1', -20, 944, 'charge', '0000000000000000000000d2', null, noon),
    (4, '0000000000000000000000a1', -2, 942, 'charge', '0000000000000000000000d3', null, noon),
    (5, '0000000000000000000000a1', -18, 924, 'charge', '0000000000000000000000d4', null, noon),
    (6, '0000000000000000000000a1', 18, 942, 'refund', '0000000000000000000000d4', '0000000000000000000000c3',
        noon + 1000),
    (7, '0000000000000000000000b0', 10, 10, 'reward', '0000000000000000000000d1', '0000000000000000000000c1',
        noon + 60000),
    (8, '0000000000000000000000b0', 10, 20, 'reward', '0000000000000000000000d2', '0000000000000000000000c2',
        noon + 60000);

insert into idempotency_keys (user, key, fingerprint, subject, answer, created_at_ms) values
    ('0000000000000000000000a1', 'k', 'f', '0000000000000000000000d3', '[]', noon);
