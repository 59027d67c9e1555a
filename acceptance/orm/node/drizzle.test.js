const { test } = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Pool } = require('pg');
const { drizzle } = require('drizzle-orm/node-postgres');
const { migrate } = require('drizzle-orm/node-postgres/migrator');
const { pgTable, serial, text, integer, timestamp, pgEnum, jsonb } = require('drizzle-orm/pg-core');
const { eq, sql, relations } = require('drizzle-orm');
const { fresh } = require('./server');

const breakpoint = '\n--> statement-breakpoint\n';

// What drizzle-kit writes.
const generated = [
  `CREATE TYPE "public"."mood" AS ENUM('a', 'b');`,
  `CREATE TABLE "users" ("id" serial PRIMARY KEY NOT NULL, "name" text NOT NULL, "mood" "mood" DEFAULT 'a' NOT NULL,
    "at" timestamp DEFAULT now() NOT NULL, "data" jsonb);`,
  `CREATE TABLE "posts" ("id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "posts_id_seq"
    INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1), "user" integer);`,
  `ALTER TABLE "posts" ADD CONSTRAINT "posts_user_users_id_fk" FOREIGN KEY ("user") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;`,
  `CREATE UNIQUE INDEX "users_name" ON "users" USING btree ("name");`,
].join(breakpoint);

const mood = pgEnum('mood', ['a', 'b']);
const users = pgTable('users', {
  id: serial().primaryKey(), name: text().notNull(), mood: mood().notNull().default('a'), at: timestamp().defaultNow().notNull(), data: jsonb(),
});
const posts = pgTable('posts', { id: integer().primaryKey().generatedAlwaysAsIdentity(), user: integer().references(() => users.id) });
const ofUsers = relations(users, ({ many }) => ({ posts: many(posts) }));
const ofPosts = relations(posts, ({ one }) => ({ author: one(users, { fields: [posts.user], references: [users.id] }) }));

test('drizzle', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'drizzle-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.mkdirSync(path.join(folder, 'meta'));
  fs.writeFileSync(path.join(folder, '0000_first.sql'), generated);
  fs.writeFileSync(path.join(folder, 'meta', '_journal.json'), JSON.stringify({
    version: '7', dialect: 'postgresql', entries: [{ idx: 0, version: '7', when: 1, tag: '0000_first', breakpoints: true }],
  }));
  const pool = new Pool(await fresh());
  t.after(() => pool.end());
  const db = drizzle(pool, { schema: { users, posts, ofUsers, ofPosts } });
  for (let i = 0; i < 2; i++) { // it has no way down
    await migrate(db, { migrationsFolder: folder });
    await migrate(db, { migrationsFolder: folder });
    if (i === 0) await pool.query('DROP TABLE posts, users; DROP TYPE mood; DROP SCHEMA drizzle CASCADE');
  }
  await db.transaction(async (tx) => {
    const upsert = () => tx.insert(users).values({ name: 'x', data: { a: 1 } })
      .onConflictDoUpdate({ target: users.name, set: { name: sql`excluded.name` } }).returning();
    const [user] = await upsert();
    const [again] = await upsert();
    assert.strictEqual(again.id, user.id);
    await tx.insert(posts).values([{ user: user.id }, { user: user.id }]);
    await assert.rejects(tx.transaction(async (inner) => { // a savepoint
      await inner.delete(posts);
      throw new Error('back');
    }), /back/);
  }, { isolationLevel: 'serializable' });
  const found = await db.query.users.findMany({ with: { posts: { with: { author: true } } }, where: eq(users.name, 'x') });
  assert.strictEqual(found[0].posts.length, 2);
  assert.strictEqual(found[0].posts[1].author.mood, 'a');
});
