CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE people (id bigserial PRIMARY KEY, name text NOT NULL, mood mood NOT NULL DEFAULT 'ok', made timestamptz NOT NULL DEFAULT now());
CREATE INDEX people_name ON people (lower(name));
