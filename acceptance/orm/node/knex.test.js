const { test } = require('node:test');
const assert = require('node:assert');
const makeKnex = require('knex');
const { fresh } = require('./server');

const steps = {
  users: {
    up: (k) => k.schema.createTable('users', (t) => {
      t.increments();
      t.string('name').notNullable().unique();
      t.enu('role', ['a', 'b'], { useNative: true, enumName: 'role_t' });
      t.jsonb('data').defaultTo('{}');
      t.timestamps(true, true);
    }),
    down: async (k) => {
      await k.schema.dropTable('users');
      await k.raw('DROP TYPE role_t');
    },
  },
  posts: {
    up: (k) => k.schema.createTable('posts', (t) => {
      t.increments();
      t.integer('user').references('id').inTable('users').onDelete('CASCADE').index();
      t.decimal('price', 10, 2);
      t.uuid('uid').defaultTo(k.raw('gen_random_uuid()'));
    }).alterTable('users', (t) => {
      t.text('bio');
      t.string('name', 100).notNullable().alter();
      t.index(['name', 'role']);
    }),
    down: async (k) => {
      await k.schema.alterTable('users', (t) => t.dropColumn('bio'));
      await k.schema.dropTable('posts');
    },
  },
};

test('knex', async (t) => {
  const knex = makeKnex({ client: 'pg', connection: await fresh() });
  t.after(() => knex.destroy());
  const source = {
    migrationSource: {
      getMigrations: async () => Object.keys(steps).reverse().sort((a, b) => (a === 'users' ? -1 : b === 'users' ? 1 : 0)),
      getMigrationName: (m) => m,
      getMigration: async (m) => steps[m],
    },
  };
  for (let i = 0; i < 2; i++) {
    await knex.migrate.latest(source);
    await knex.migrate.rollback(source, true);
    assert(!(await knex.schema.hasTable('users')));
  }
  await knex.migrate.latest(source);
  await knex.transaction(async (trx) => {
    const [user] = await trx('users').insert({ name: 'n', role: 'a' }).returning('*');
    await trx('posts').insert({ user: user.id, price: 1.25 });
    await trx('users').insert({ name: 'n', role: 'b' }).onConflict('name').merge();
    await assert.rejects(trx.transaction(async (inner) => { // a savepoint
      await inner('posts').del();
      throw new Error('back');
    }), /back/);
  }, { isolationLevel: 'serializable' });
  const rows = await knex('users').join('posts', 'posts.user', 'users.id').select('users.*', 'posts.price').forUpdate('users');
  assert.deepStrictEqual(rows.map((r) => [r.name, r.role, r.price, r.bio]), [['n', 'b', '1.25', null]]);
  const info = await knex('users').columnInfo();
  assert.strictEqual(info.name.maxLength, 100);
  assert.strictEqual(info.name.nullable, false);
  assert.strictEqual(info.created_at.type, 'timestamp with time zone');
  assert(await knex.schema.hasColumn('users', 'bio'));
  await knex.schema.alterTable('users', (t) => t.renameColumn('bio', 'about'));
  await knex.schema.alterTable('users', (t) => t.dropColumn('about'));
});
