-- What was found when everything was looked at last.

create table reports (
    id     integer primary key check (id = 1),
    report text    not null
) strict;
