require('reflect-metadata');
const { test } = require('node:test');
const assert = require('node:assert');
const { DataSource, EntitySchema } = require('typeorm');
const { fresh } = require('./server');

const User = new EntitySchema({
  name: 'User',
  columns: {
    id: { type: Number, primary: true, generated: true },
    name: { type: String, length: 50, unique: true },
    kind: { type: 'enum', enum: ['a', 'b'], default: 'a' },
    tags: { type: 'text', array: true, nullable: true },
    created: { type: 'timestamptz', createDate: true },
    version: { type: Number, version: true },
    balance: { type: 'numeric', precision: 10, scale: 2, default: 0 },
  },
  relations: {
    posts: { type: 'one-to-many', target: 'Post', inverseSide: 'user', cascade: true },
    groups: { type: 'many-to-many', target: 'Group', joinTable: true, cascade: true },
  },
  indices: [{ columns: ['name', 'kind'] }],
  checks: [{ expression: 'balance >= 0' }],
});
const Post = new EntitySchema({
  name: 'Post',
  columns: { id: { type: 'uuid', primary: true, generated: 'uuid' }, title: { type: String, nullable: true } },
  relations: { user: { type: 'many-to-one', target: 'User', inverseSide: 'posts', onDelete: 'CASCADE' } },
});
const Group = new EntitySchema({
  name: 'Group',
  columns: { id: { type: Number, primary: true, generated: 'identity' }, name: { type: String } },
});

test('typeorm', async (t) => {
  const at = await fresh();
  const source = new DataSource({
    type: 'postgres', host: at.host, port: at.port, username: at.user, password: at.password, database: at.database,
    entities: [User, Post, Group], synchronize: false, logging: false, uuidExtension: 'pgcrypto',
  });
  await source.initialize();
  t.after(() => source.destroy());
  for (let i = 0; i < 2; i++) {
    await source.synchronize();
    await source.synchronize();
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    assert.deepStrictEqual(upQueries.map((q) => q.query), [], 'another synchronize would change the schema');
    if (i === 0) await source.dropDatabase();
  }
  const users = source.getRepository('User');
  const user = await users.save({ name: 'x', tags: ['a', 'b'], posts: [{ title: '1' }], groups: [{ name: 'g' }] });
  user.name = 'y';
  await users.save(user);
  const found = await users.find({ relations: { posts: true, groups: true } });
  assert.deepStrictEqual([found[0].posts.length, found[0].groups.length, found[0].version, found[0].tags], [1, 1, 2, ['a', 'b']]);
  await source.transaction('SERIALIZABLE', async (m) => {
    await m.getRepository('User').increment({ name: 'y' }, 'balance', 5);
    await assert.rejects(m.transaction(async (inner) => { // a savepoint
      await inner.getRepository('Post').deleteAll();
      throw new Error('back');
    }), /back/);
  });
  const [rows, count] = await users.createQueryBuilder('u').leftJoinAndSelect('u.posts', 'p').where('u.balance > :b', { b: 1 })
    .take(1).orderBy('u.id').getManyAndCount();
  assert.deepStrictEqual([rows[0].posts.length, rows[0].balance, count], [1, '5.00', 1]);
  await assert.rejects(users.update({ name: 'y' }, { balance: -1 }), (e) => e.code === '23514');
  const runner = source.createQueryRunner();
  assert.strictEqual((await runner.getTables(['user', 'post', 'group'])).length, 3);
  await runner.release();
  await source.dropDatabase();
});
