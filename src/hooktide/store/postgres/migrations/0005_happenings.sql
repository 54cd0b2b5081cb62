-- What is to be told of as an event of the built-in project; goes as soon as it is told.
CREATE TABLE hooktide.happenings (
    key text PRIMARY KEY,
    project_id bigint NOT NULL,
    type text NOT NULL,
    account_id bigint NOT NULL,
    endpoint_id bigint,
    at bigint NOT NULL,
    about text NOT NULL                 -- JSON: members of its payload
);
