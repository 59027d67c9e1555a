const { test } = require('node:test');
const assert = require('node:assert');
const { Sequelize, DataTypes, Transaction } = require('sequelize');
const { fresh } = require('./server');

test('sequelize', async (t) => {
  const at = await fresh();
  const db = new Sequelize(at.database, at.user, at.password, { host: at.host, port: at.port, dialect: 'postgres', logging: false });
  const A = db.define('A', {
    name: { type: DataTypes.STRING, unique: true, allowNull: false },
    kind: DataTypes.ENUM('x', 'y'),
    data: DataTypes.JSONB,
    list: DataTypes.ARRAY(DataTypes.INTEGER),
    sum: DataTypes.DECIMAL(10, 2),
    day: DataTypes.DATEONLY,
  }, { indexes: [{ fields: ['data'], using: 'gin' }, { fields: ['name', 'kind'] }], comment: 'of A' });
  const B = db.define('B', { text: DataTypes.TEXT });
  A.hasMany(B, { onDelete: 'CASCADE' });
  B.belongsTo(A);
  t.after(() => db.close());
  await db.authenticate();
  for (let i = 0; i < 2; i++) {
    await db.sync();
    await db.sync({ alter: true });
    await db.sync({ alter: true });
    if (i === 0) {
      await B.drop({});
      await A.drop({});
    }
  }
  await db.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.SERIALIZABLE }, async (transaction) => {
    const a = await A.create({ name: 'n', kind: 'x', data: { q: 1 }, list: [1, 2], sum: '1.5', Bs: [{ text: 'z' }] }, { include: [B], transaction });
    await a.increment('sum', { by: 2, transaction });
    await A.upsert({ name: 'n', kind: 'x' }, { transaction });
    await db.query('SAVEPOINT a', { transaction });
    await B.destroy({ where: {}, transaction });
    await db.query('ROLLBACK TO a', { transaction });
  });
  const found = await A.findAll({ include: B, where: { kind: 'x', data: { q: 1 } } });
  assert.deepStrictEqual([found.length, found[0].Bs.length, found[0].sum, found[0].list], [1, 1, '3.50', [1, 2]]);
  await A.bulkCreate([{ name: 'm' }, { name: 'o' }], { updateOnDuplicate: ['kind'] });
  const page = await A.findAndCountAll({ limit: 1, include: [{ model: B, required: false }], order: [['id', 'DESC']] });
  assert.deepStrictEqual([page.count, page.rows[0].name], [3, 'o']);
  const qi = db.getQueryInterface();
  const described = await qi.describeTable('As');
  assert.deepStrictEqual([described.kind.special, described.name.allowNull, described.id.primaryKey], [['x', 'y'], false, true]);
  assert((await qi.showIndex('As')).length >= 4);
  assert.strictEqual((await qi.getForeignKeyReferencesForTable('Bs')).length, 1);
  await qi.addColumn('As', 'z', { type: DataTypes.INTEGER, defaultValue: 3 });
  await qi.changeColumn('As', 'z', { type: DataTypes.BIGINT, allowNull: false });
  await qi.renameColumn('As', 'z', 'zz');
  await qi.removeColumn('As', 'zz');
  await qi.addConstraint('Bs', { fields: ['text'], type: 'unique', name: 'once' });
  await qi.removeConstraint('Bs', 'once');
});
