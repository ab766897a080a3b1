-- Databases of different environments are kept apart: no hub of another one starts here.

-- Which environment this database belongs to; no row before a hub has used it.
create table environment (
    id   integer primary key check (id = 1),
    name text    not null
) strict;
