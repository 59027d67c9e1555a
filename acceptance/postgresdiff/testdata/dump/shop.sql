-- What pg_dump carries from server to server: see dump_test.go.
CREATE SCHEMA app;
CREATE TABLE app.users (
    id serial PRIMARY KEY,
    email varchar(100) NOT NULL UNIQUE,
    name text DEFAULT 'anon',
    created timestamptz NOT NULL DEFAULT now(),
    props jsonb DEFAULT '{}',
    score numeric(10,2) CHECK (score >= 0),
    tags text[]
);
CREATE TABLE app.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid int NOT NULL, total double precision, note char(5), d date, iv interval, b bytea, u uuid,
    ok boolean DEFAULT true, "odd name" smallint
);
CREATE INDEX orders_uid ON app.orders (uid, total DESC) INCLUDE (note);
CREATE TABLE app.items (
    id int PRIMARY KEY, price numeric, qty int, live boolean,
    total numeric GENERATED ALWAYS AS (price * qty) STORED,
    label text GENERATED ALWAYS AS ('item ' || id::text) STORED NOT NULL
);
CREATE UNIQUE INDEX items_live ON app.items (label) WHERE live AND qty > 0;
CREATE INDEX items_by_expr ON app.items (lower(label), (price + qty) DESC) INCLUDE (qty);
INSERT INTO app.items VALUES (1, 2.5, 4, true), (2, NULL, 1, false);
CREATE TYPE app.place AS (street text, zip bit(5), "No" int);
CREATE TABLE app.hosts (
    ip inet PRIMARY KEY, net cidr, mac macaddr, at time(3) with time zone, flags bit(4) DEFAULT B'0101', more bit varying,
    home app.place DEFAULT ROW('main', B'10101', 7), homes app.place[]
);
CREATE INDEX hosts_net ON app.hosts (net, flags DESC);
INSERT INTO app.hosts VALUES ('10.0.0.1/8', '10/8', '08:00:2b:01:02:03', '12:00:00.5+02', B'1111', B'', '("a, ""b""",01010,)', '{"(x,,1)",NULL}'),
    ('::1', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE SEQUENCE app.steps START 5 INCREMENT 3 CYCLE MAXVALUE 50;
CREATE TABLE "Mixed" (k text PRIMARY KEY, v int DEFAULT nextval('app.steps'));
CREATE VIEW app.big AS SELECT u.id, u.name, o.total FROM app.users u JOIN app.orders o ON o.uid = u.id WHERE o.total > 100;
CREATE VIEW app.counts (who, many) AS WITH w AS (SELECT 1 AS one) SELECT u.id, count(*) FROM app.users u, w GROUP BY 1;
SET search_path = app, public;
CREATE VIEW above AS SELECT * FROM big ORDER BY total;
CREATE VIEW public.mine AS SELECT k, v + 1 AS v1 FROM "Mixed";
RESET search_path;
INSERT INTO app.users (email, name, created, props, score, tags) VALUES
    ('a@x', 'Ann', '2024-02-29 12:00:00.5+02', '{"k": [1, 2]}', 1.5, '{a,"b c",NULL}'),
    ('b@x', NULL, 'infinity', NULL, NULL, '{}'), ('c\x', E'tab\tnew\nline\\', '1999-01-01 00:00+00', 'null', 'NaN', NULL);
INSERT INTO app.orders (uid, total, note, d, iv, b, u, "odd name") VALUES
    (1, 150.5, 'ab', '2024-02-29', '1 day 02:03', '\xdead00', '00000000-0000-0000-0000-000000000001', 7),
    (2, 'NaN', NULL, '-infinity', '-1 mon', '', NULL, -32768), (3, 1e300, '', NULL, NULL, NULL, NULL, NULL);
INSERT INTO "Mixed" (k) VALUES ('one'), ('two');
COMMENT ON TABLE app.users IS 'people; it''s them';
COMMENT ON COLUMN app.users.email IS 'where to reach them';
COMMENT ON INDEX app.orders_uid IS 'by user';
CREATE MATERIALIZED VIEW app.sums AS SELECT uid, sum(total) AS total FROM app.orders GROUP BY uid;
CREATE UNIQUE INDEX ON app.sums (uid);
CREATE MATERIALIZED VIEW app.later AS SELECT id FROM app.items WITH NO DATA;
