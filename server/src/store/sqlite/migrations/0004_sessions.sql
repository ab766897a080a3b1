-- Several hubs may share a store that is not embedded: which session of a probe is the newest is a number, not a clock.

-- How many sessions it has had; the newest has this number.
alter table probes add column sessions integer not null default 0 check (sessions >= 0);
