CREATE TABLE pets (id bigserial PRIMARY KEY, owner bigint NOT NULL REFERENCES people ON DELETE CASCADE, name varchar(40) NOT NULL, UNIQUE (owner, name));
ALTER TABLE people ADD COLUMN email text UNIQUE;
