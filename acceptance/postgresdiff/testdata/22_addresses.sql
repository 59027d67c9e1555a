SELECT '192.168.1.5'::inet, '192.168.1.5/24'::inet, '10.1.2.3/8'::inet, '::1'::inet, '2001:db8::1/64'::inet, '::ffff:1.2.3.4'::inet, '::1.2.3.4'::inet;
SELECT '10/8'::inet, '192.168/16'::inet, '10.0.0.0/8'::cidr, '10'::cidr, '192.168'::cidr, '128.1'::cidr, '224'::cidr, '240'::cidr, '1.2.3'::cidr, '2001:db8::/32'::cidr;
SELECT '10'::inet;
SELECT '10/16'::inet;
SELECT '1.2.3.4/33'::inet;
SELECT '1.2.3.256'::inet;
SELECT 'x'::inet;
SELECT ''::inet;
SELECT '1.2.3.4.5'::cidr;
SELECT '192.168.1.1/24'::cidr;
SELECT '2001:db8::1/32'::cidr;
SELECT '::1/129'::inet;
SELECT '1.2.3.4/'::inet;
SELECT host('10.1.2.3/8'::inet), network('10.1.2.3/8'::inet), masklen('10.1.2.3/8'::inet), netmask('10.1.2.3/8'::inet), hostmask('10.1.2.3/8'::inet), broadcast('10.1.2.3/8'::inet), family('10.1.2.3/8'::inet), abbrev('10.1.2.3/8'::inet), text('10.1.2.3'::inet);
SELECT host('2001:db8::5/64'::inet), network('2001:db8::5/64'::inet), masklen('2001:db8::5/64'::inet), netmask('2001:db8::5/64'::inet), hostmask('2001:db8::5/64'::inet), broadcast('2001:db8::5/64'::inet), family('::1'::inet);
SELECT abbrev('10.1.0.0/16'::cidr), abbrev('10.0.0.0/9'::cidr), abbrev('0.0.0.0/0'::cidr), abbrev('1.2.3.4/32'::cidr), abbrev('2001:db8::/32'::cidr), abbrev('::/0'::cidr), abbrev('2001:db8:0:1::/64'::cidr), abbrev('fe80::/10'::cidr);
SELECT set_masklen('192.168.1.5/24'::inet, 16), set_masklen('192.168.1.0/24'::cidr, 16), set_masklen('192.168.1.5/24'::inet, -1);
SELECT set_masklen('192.168.1.5/24'::inet, 33);
SELECT inet_same_family('1.2.3.4', '::1'), inet_merge('192.168.1.5/24', '192.168.2.5/24'), inet_merge('10.0.0.1', '10.0.0.1');
SELECT inet_merge('192.168.1.5/24', '::1');
SELECT inet '192.168.1.5' << inet '192.168.1/24', inet '192.168.1/24' << inet '192.168.1/24', inet '192.168.1/24' <<= inet '192.168.1/24', inet '192.168.1/24' >> inet '192.168.1.5', inet '192.168.1/24' >>= inet '192.168.1/24', inet '192.168.1/24' && inet '192.168.1.80/28', inet '::1' << inet '0.0.0.0/0', cidr '10/8' >> '10.1.1.1';
SELECT ~ inet '192.168.1.6', inet '192.168.1.6' & inet '0.0.0.255', inet '192.168.1.6/24' | inet '0.0.0.255', inet '192.168.1.6' + 25, 25 + inet '192.168.1.6', inet '192.168.1.43' - 36, inet '192.168.1.43' - inet '192.168.1.19', inet '::1' + 4294967296;
SELECT inet '255.255.255.255' + 1;
SELECT inet '0.0.0.0' - 1;
SELECT inet '1.2.3.4' - inet '::1';
SELECT inet '1.2.3.4' & inet '::1';
SELECT inet 'ffff::' - inet '::1';
SELECT '1.2.3.4'::inet = '1.2.3.4/32'::cidr, '1.2.3.4'::inet < '1.2.3.4/24'::inet, '10/8'::cidr < '10.0/16'::cidr, '9.255.0.0/16'::inet < '10/8', '::1'::inet > '255.255.255.255'::inet;
SELECT '10.1.2.3/8'::inet::cidr, '10/8'::cidr::inet, '10.1.2.3'::inet::text, '10/8'::cidr::varchar(5), '1.2.3.4'::text::inet, 'x: ' || inet '1.2.3.4', inet '1.2.3.4' || '!';
SELECT 1::inet;
SELECT '1.2.3.4'::inet::int;
CREATE TABLE hosts (a inet PRIMARY KEY, n cidr, m macaddr, m8 macaddr8, more inet[]);
CREATE INDEX hosts_n ON hosts (n DESC);
CREATE UNIQUE INDEX hosts_m ON hosts (m);
INSERT INTO hosts VALUES ('192.168.1.5', '192.168/16', '08:00:2b:01:02:03', '08:00:2b:01:02:03', '{1.2.3.4,::1,NULL}'),
 ('192.168.1.5/24', '192.168.1/24', '08002b:010204', '08-00-2b-01-02-03-04-05', '{}'), ('10.0.0.1/8', '10/8', '0800.2b01.0205', '08002b0102030405', NULL),
 ('::1', '::/0', NULL, NULL, NULL), ('10.0.0.0/8', '10.1/16', NULL, NULL, NULL), ('0.0.0.0/0', NULL, NULL, NULL, NULL), ('10.0.0.0', NULL, NULL, NULL, NULL);
INSERT INTO hosts VALUES ('192.168.1.5/32');
INSERT INTO hosts (a, m) VALUES ('9.9.9.9', '08:00:2b:01:02:03');
INSERT INTO hosts (a, n) VALUES ('9.9.9.9', inet '10.1.2.3/8') RETURNING a, n;
SELECT * FROM hosts ORDER BY a;
SELECT * FROM hosts ORDER BY n DESC NULLS LAST, a DESC;
SELECT a FROM hosts WHERE a > '10.0.0.0/8' AND a < '200.0.0.0' ORDER BY a;
SELECT a FROM hosts WHERE n = '10/8' ORDER BY a;
SELECT a FROM hosts WHERE a << '10/8' ORDER BY a;
SELECT n FROM hosts WHERE n >> '192.168.1.77' ORDER BY n;
SELECT a FROM hosts WHERE '::1' = ANY (more);
SELECT min(a), max(a), min(n), max(n), count(DISTINCT n) FROM hosts;
SELECT family(a), count(*), array_agg(a ORDER BY a) FROM hosts GROUP BY 1 ORDER BY 1;
SELECT x.a, y.a FROM hosts x JOIN hosts y ON x.a = y.a ORDER BY 1;
SELECT x.a, y.a FROM hosts x JOIN hosts y ON x.a << y.n ORDER BY 1, 2;
SELECT to_json(a), to_jsonb(n), row_to_json(hosts) FROM hosts WHERE a = '192.168.1.5';
SELECT m, m8, trunc(m), trunc(m8), ~m, m & 'ff:ff:ff:00:00:00', m | '00:00:00:ff:00:00', m::macaddr8, macaddr8_set7bit(m8) FROM hosts WHERE m IS NOT NULL ORDER BY m;
SELECT '8:0:2b:1:2:3'::macaddr, '08002b010203'::macaddr, '0800-2b01-0203'::macaddr, '08002b-010203'::macaddr, ' 08-00-2b-01-02-03 '::macaddr, '08:00:2b:ff:fe:01:02:03'::macaddr8::macaddr;
SELECT '08:00:2b:01:02'::macaddr;
SELECT '08:00:2b:01:02:0g'::macaddr;
SELECT '108:00:2b:01:02:03'::macaddr;
SELECT '08:00:2b:01:02'::macaddr8;
SELECT '08:00-2b:01:02:03'::macaddr8;
SELECT '08:00:2b:00:fe:01:02:03'::macaddr8::macaddr;
-- params 10.0.0.1/8
SELECT a, n FROM hosts WHERE a = $1;
-- params 1.2.3.4/30 | 1.2.3.4/30
SELECT $1::inet, $2::inet + 1;
UPDATE hosts SET a = a + 1, n = set_masklen(n, 30) WHERE a = '192.168.1.5';
DELETE FROM hosts WHERE a <<= '10/8';
COPY hosts FROM STDIN;
172.16.0.1	172.16/12	\N	\N	{172.16.0.2/12}
\.
ANALYZE hosts;
COPY hosts FROM STDIN;
172.16.0.1/99	\N	\N	\N	\N
\.
COPY (SELECT a, n, more FROM hosts ORDER BY a) TO STDOUT;
COPY (SELECT a, n, m, m8, more FROM hosts ORDER BY a) TO STDOUT (FORMAT binary);
ALTER TABLE hosts ALTER n TYPE inet;
ALTER TABLE hosts ALTER n TYPE text;
SELECT n FROM hosts ORDER BY a;
SELECT pg_typeof(inet '1.2.3.4'), pg_typeof(cidr '1.2.3.4'), 'macaddr8[]'::regtype;
SELECT inet_client_addr() IS NULL OR true;
SELECT typname, typlen, typcategory, typispreferred, typarray, typalign, typstorage FROM pg_type WHERE typname IN ('inet', 'cidr', 'macaddr', 'macaddr8', '_inet', '_cidr') ORDER BY 1;
