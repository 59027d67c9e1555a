create table acct (id int primary key, owner text not null, balance numeric not null default 0 check (balance >= 0));
create table log (id serial primary key, what text);
create function open_account(owner text, amount numeric default 10) returns int language sql as $$ insert into log (what) values ('open ' || owner); insert into acct select coalesce(max(id), 0) + 1, $1, amount from acct returning id; $$;
select open_account('ann', 100);
select open_account('bob'), open_account(amount => 5, owner => 'cy');
select * from acct order by id;
select * from log order by id;
create function transfer(src int, dst int, amount numeric) returns numeric language sql as $$ update acct set balance = balance - amount where id = src; update acct set balance = balance + amount where id = dst; insert into log (what) values (format('%s to %s: %s', src, dst, amount)); select balance from acct where id = src; $$;
select transfer(1, 2, 30);
select transfer(1, 2, 300);
select * from acct order by id;
create function forget() returns void language sql as 'delete from log';
select forget();
select count(*) from log;
create function nothing() returns void language sql as '';
select nothing() is null, nothing()::text = '';
create function wealthy(lowest numeric) returns setof acct language sql as $$ insert into log (what) values ('asked'); select * from acct where balance >= lowest order by id $$;
select * from wealthy(10);
-- differs types: row types have the numbers of their tables
select wealthy(10);
select (wealthy(10)).owner;
select w.owner, count(*) from wealthy(0) w group by 1 order by 1;
create function ids(lowest numeric) returns setof int language sql as $$ select 1; select id from acct where balance >= lowest order by id $$;
select ids(10);
select * from ids(10) with ordinality as t(id, n);
select id, ids(id) from acct order by 1, 2;
create function totals(out n bigint, out total numeric) language sql as $$ select 1, 2; select count(*), sum(balance) from acct $$;
select * from totals();
select totals(), (totals()).total, (totals()).*;
select row_to_json(totals()), row_to_json(t) from totals() t;
create function tab(lim int) returns table (who text, b numeric) language sql stable as $$ select owner, balance from acct order by id limit lim $$;
select tab(2);
select (tab(2)).who;
select * from tab(1);
create function fact(n int) returns numeric language sql as $$ select case when n <= 1 then 1 else n * fact(n - 1) end $$;
select fact(5), fact(30);
create function again(int) returns int language sql as $$ insert into acct values ($1 + 100, 'copy') returning id $$;
select again(id) from acct order by id;
select count(*) from acct;
create function st(int, int) returns int strict language sql as 'select 1; select $1 + $2';
select st(1, 2), st(null, 2);
create function st2(int) returns setof int strict language sql as 'select 1; select $1';
select * from st2(null);
create function pick(anyelement, anyelement) returns anyelement language sql as 'select 1; select coalesce($1, $2)';
select pick(null, 3), pick('a'::text, 'b');
create function atomic_add(a int) returns int language sql begin atomic insert into log (what) values ('atomic'); select a + 1; end;
select atomic_add(1);
-- differs rows: bodies are kept as they were written
select pg_get_functiondef('atomic_add'::regproc);
create function bad() returns int language sql as 'select 1; delete from log';
create function bad() returns int language sql as '';
create function bad() returns int language sql as 'select 1; insert into log (what) values (1) returning what';
create function bad() returns int language sql as 'select nope; select 1';
-- differs everything: functions cannot change the schema, procedures can
create function setup() returns int language sql as 'create table x (a int); select 1';
create function commits() returns int language sql as 'commit; select 1';
select commits();
create function bad2(n int) returns int language sql as 'select 1; select 1 / n';
select bad2(0);
select bad2(n) from generate_series(1, 2) n where bad2(n) = 1;
create procedure pay(src int, dst int, amount numeric) language sql as $$ update acct set balance = balance - amount where id = src; update acct set balance = balance + amount where id = dst; $$;
call pay(1, 2, 10);
call pay(src => 1, dst => 2, amount => 10);
call pay(1, 2, 1000);
select id, balance from acct where id < 3 order by id;
create procedure make_table() language sql as $$ create table made (a int); comment on table made is 'made' $$;
call make_table();
insert into made values (1);
begin;
call pay(1, 2, 1);
rollback;
select id, balance from acct where id = 1;
create procedure all_of(a int, inout b int, out c text) language sql as $$ select a + b, 'x' $$;
call all_of(1, 2, null);
call all_of(1, 2);
create procedure ends() language sql as 'commit';
call ends();
call nope(1);
call fact(3);
call lower('A');
select pay(1, 2, 3);
call pay(1, 2, 'x');
create procedure pay(a int, b int, c numeric) language sql as 'select 1';
create or replace function pay(src int, dst int, amount numeric) returns int language sql as 'select 1';
create or replace procedure pay(src int, dst int, amount numeric) language sql as 'select 1';
call pay(1, 2, 3);
select proname, prokind, prorettype::regtype, pg_get_function_arguments(oid), pg_get_function_result(oid) from pg_proc where proname in ('pay', 'all_of', 'totals') order by 1;
select pg_get_functiondef('all_of'::regproc);
comment on procedure pay is 'pays';
select obj_description('pay'::regproc);
drop function pay;
drop procedure fact;
drop procedure nope(int);
-- differs notices: types are named as everywhere else
drop procedure if exists nope(int);
alter procedure pay rename to pay2;
drop procedure pay2(int, int, numeric);
drop routine all_of;
begin read only;
select open_account('x');
rollback;
SELECT forget() IS NULL, proname FROM pg_proc WHERE proname = 'forget';
CREATE TABLE emp (name text, salary numeric, age int);
INSERT INTO emp VALUES ('Bill', 4200, 40), ('Ann', 5000, 30);
CREATE FUNCTION clean_emp() RETURNS void AS '
    DELETE FROM emp
        WHERE salary < 0
' LANGUAGE SQL;
SELECT clean_emp();
CREATE FUNCTION raise_all(pct numeric DEFAULT 10) RETURNS SETOF emp AS $$
  UPDATE emp SET salary = salary * (1 + pct / 100) RETURNING *
$$ LANGUAGE SQL;
SELECT name, round(salary, 2) FROM raise_all() ORDER BY name;
SELECT name, round(salary, 2) FROM raise_all(pct => -5) ORDER BY name;
CREATE FUNCTION new_emp() RETURNS emp AS $$ SELECT text 'None' AS name, 1000.0 AS salary, 25 AS age $$ LANGUAGE SQL;
SELECT (new_emp()).name, (new_emp()).age;
SELECT * FROM new_emp();
SELECT new_emp()::text;
CREATE FUNCTION fib(n int) RETURNS int LANGUAGE sql AS $$
  SELECT CASE WHEN n < 2 THEN n ELSE fib(n - 1) + fib(n - 2) END
$$;
SELECT fib(10);
CREATE FUNCTION nope() RETURNS int LANGUAGE sql AS $body$
  SELECT 1
  ; SELECT missing FROM emp
$body$;
CREATE FUNCTION nope() RETURNS int LANGUAGE sql AS 'SELECT ''it''''s'', missing FROM emp';
CREATE FUNCTION nope() RETURNS int LANGUAGE sql AS 'SELECT 1 FRO emp';
CREATE FUNCTION nope() RETURNS text LANGUAGE sql AS 'UPDATE emp SET salary = 0';
CREATE PROCEDURE hire(who text, pay numeric DEFAULT 1000) LANGUAGE sql BEGIN ATOMIC INSERT INTO emp VALUES (who, pay, 20); UPDATE emp SET age = age + 1 WHERE name = who; END;
CALL hire('Cy');
CALL hire('Di', pay => 2000);
CALL hire(pay => 1, who => 'Ed');
CALL hire();
SELECT name, salary, age FROM emp WHERE age = 21 ORDER BY name;
BEGIN;
CALL hire('Flo');
SAVEPOINT a;
CALL hire('Gus', 'much');
ROLLBACK TO a;
COMMIT;
SELECT count(*) FROM emp WHERE name IN ('Flo', 'Gus');
-- params Hal | 300
CALL hire($1, $2);
SELECT salary FROM emp WHERE name = 'Hal';
CREATE PROCEDURE counts(INOUT n bigint DEFAULT 0, INOUT top text DEFAULT NULL) LANGUAGE sql AS $$ SELECT count(*), max(name) FROM emp $$;
CALL counts();
CALL counts(3);
DROP PROCEDURE hire(text, numeric), counts(bigint, text);
CALL counts();
CREATE TABLE staff (name text, salary numeric, age int);
INSERT INTO staff VALUES ('Bill', 4200, 40), ('Ann', NULL, 30);
CREATE FUNCTION double_salary(staff) RETURNS numeric AS $$ SELECT $1.salary * 2 AS salary $$ LANGUAGE SQL;
CREATE FUNCTION shout(e staff) RETURNS text LANGUAGE sql AS $$ SELECT upper(e.name) || e.age $$;
CREATE FUNCTION older(e staff, by int DEFAULT 1) RETURNS staff LANGUAGE sql AS $$ SELECT 1; SELECT e.name, (e).salary, e.age + by $$;
SELECT name, double_salary(staff.*) AS dream FROM staff WHERE staff.age > 30;
SELECT name, double_salary(ROW(name, salary * 1.1, age)) AS dream FROM staff ORDER BY name;
SELECT shout(staff), shout(e => s) FROM staff JOIN staff s USING (name) ORDER BY 1;
SELECT (older(staff)).age, older(staff, 5)::text, shout(older(staff)) FROM staff ORDER BY 2;
SELECT shout('(gus,1,2)'), shout(NULL) IS NULL AS none, double_salary(NULL::staff);
SELECT count(staff.*), jsonb_agg(staff.* ORDER BY staff.name) FROM staff;
SELECT pg_get_function_arguments('shout'::regproc), pg_get_function_result('older'::regproc);
ALTER TABLE staff ADD COLUMN room int;
SELECT shout(staff), double_salary(staff) FROM staff ORDER BY 1;
-- differs where: PostgreSQL looks at the result before it begins
SELECT older(staff) FROM staff;
DROP FUNCTION shout(staff), double_salary(staff);
DROP FUNCTION older;
