-- Results may be forgotten by age, databases may be carried into others.

create index results_by_age on results (received_at_ms);

-- An entry is named by its user and a number of its own, so that it has the same name in every store.
create table ledger_of_users (
    user      text    not null references users (id),
    -- 1, 2, 3 … for each user.
    number    integer not null check (number >= 1),
    amount    integer not null,
    balance   integer not null check (balance >= 0),
    reason    text    not null check (reason in ('grant', 'charge', 'refund', 'reward')),
    operation text    references operations (id),
    probe     text    references probes (id),
    at_ms     integer not null,
    primary key (user, number)
) strict, without rowid;

insert into ledger_of_users (user, number, amount, balance, reason, operation, probe, at_ms)
    select user, row_number() over (partition by user order by id), amount, balance, reason, operation, probe, at_ms
    from ledger;

drop table ledger;
alter table ledger_of_users rename to ledger;

-- The last move of another store's data into this one. Until it has finished, no hub may start here.
create table moves (
    id             integer primary key check (id = 1),
    source         text    not null,
    started_at_ms  integer not null,
    finished_at_ms integer
) strict;
