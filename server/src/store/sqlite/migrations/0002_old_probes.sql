-- What the system that this one replaces is still asked for at its old paths and by its old agents.

-- When an accepted assignment is over, and no run that begins later counts: the stop time and a grace.
alter table operations add column closes_at_ms integer not null default 0;
update operations set closes_at_ms = expires_at_ms + 300000;

-- The parameters as they were written at the old paths: JSON, or null.
alter table operations add column as_sent text;

-- Results that were not taken.
alter table probes add column refused_results integer not null default 0 check (refused_results >= 0);
