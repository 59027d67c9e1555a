const { test } = require('node:test');
const assert = require('node:assert');
const { Pool } = require('pg');
const { fresh } = require('./server');

test('node-postgres', async (t) => {
  const pool = new Pool({ ...(await fresh()), max: 3 });
  t.after(() => pool.end());
  for (let i = 0; i < 2; i++) {
    await pool.query(`CREATE TABLE n (id serial PRIMARY KEY, j jsonb, a int[], t timestamptz DEFAULT now(), b bytea, d numeric,
      u uuid DEFAULT gen_random_uuid()); CREATE INDEX n_d ON n (d)`);
    if (i === 0) await pool.query('DROP TABLE n');
  }
  const { rows } = await pool.query('INSERT INTO n (j, a, b, d) VALUES ($1, $2, $3, $4) RETURNING *', [{ x: 1 }, [1, 2], Buffer.from([1, 2]), '1.5']);
  assert.deepStrictEqual([rows[0].j, rows[0].a, [...rows[0].b], rows[0].d], [{ x: 1 }, [1, 2], [1, 2], '1.5']);
  assert(rows[0].t instanceof Date && rows[0].u.length === 36);
  const client = await pool.connect();
  await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
  for (const id of [1, 2]) { // prepared once
    const r = await client.query({ name: 'by-id', text: 'SELECT * FROM n WHERE id = $1 FOR UPDATE', values: [id] });
    assert.strictEqual(r.rowCount, id === 1 ? 1 : 0);
  }
  await client.query('SAVEPOINT a');
  await assert.rejects(client.query('INSERT INTO n (id) VALUES (1)'), (e) => e.code === '23505' && e.constraint === 'n_pkey');
  await client.query('ROLLBACK TO a');
  await client.query('COMMIT');
  client.release();
  const columns = await pool.query("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'n' ORDER BY ordinal_position");
  assert.deepStrictEqual(columns.rows.map((r) => r.data_type),
    ['integer', 'jsonb', 'ARRAY', 'timestamp with time zone', 'bytea', 'numeric', 'uuid']);
});
