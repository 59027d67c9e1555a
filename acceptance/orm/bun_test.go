package orm

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/migrate"
)

type bunUser struct {
	bun.BaseModel `bun:"table:bun_users,alias:u"`
	ID            int64          `bun:",pk,autoincrement"`
	Name          string         `bun:",notnull"`
	Emails        []string       `bun:",array"`
	Attrs         map[string]any `bun:"type:jsonb"`
	Posts         []*bunPost     `bun:"rel:has-many,join:id=user_id"`
	CreatedAt     time.Time      `bun:",nullzero,notnull,default:current_timestamp"`
}

type bunPost struct {
	bun.BaseModel `bun:"table:bun_posts,alias:p"`
	ID            int64 `bun:",pk,autoincrement"`
	UserID        int64
	Title         string
	User          *bunUser `bun:"rel:belongs-to,join:user_id=id"`
}

func TestBun(t *testing.T) {
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			db := bun.NewDB(openDB(t, driver, fresh(t)), pgdialect.New())
			bunMigrates(t, db)
			bunReadsAndWrites(t, db)
		})
	}
}

func bunMigrates(t *testing.T, db *bun.DB) {
	t.Helper()
	ctx := t.Context()
	steps := migrate.NewMigrations()
	steps.Add(migrate.Migration{Name: "1",
		Up: func(ctx context.Context, m *migrate.Migrator, _ *migrate.Migration) error {
			_, err := m.DB().NewCreateTable().Model((*bunUser)(nil)).IfNotExists().Exec(ctx)
			return err
		},
		Down: func(ctx context.Context, m *migrate.Migrator, _ *migrate.Migration) error {
			_, err := m.DB().NewDropTable().Model((*bunUser)(nil)).IfExists().Exec(ctx)
			return err
		}})
	m := migrate.NewMigrator(db, steps)
	check(t, m.Init(ctx))
	check(t, m.Init(ctx))
	for range 2 {
		check(t, m.Lock(ctx))
		if err := m.Lock(ctx); err == nil {
			t.Error("two have the lock")
		}
		_, err := m.Migrate(ctx)
		check(t, err)
		check(t, m.Unlock(ctx))
		_, err = m.Rollback(ctx)
		check(t, err)
	}
	_, err := m.Migrate(ctx)
	check(t, err)
}

func bunReadsAndWrites(t *testing.T, db *bun.DB) {
	t.Helper()
	ctx := t.Context()
	_, err := db.NewCreateTable().Model((*bunPost)(nil)).ForeignKey(`("user_id") REFERENCES "bun_users" ("id") ON DELETE CASCADE`).Exec(ctx)
	check(t, err)
	_, err = db.NewCreateIndex().Model((*bunPost)(nil)).Index("by_title").Column("title").Exec(ctx)
	check(t, err)
	users := []bunUser{{Name: "a", Emails: []string{"x", "y,z"}, Attrs: map[string]any{"k": 1}}, {Name: "b"}}
	_, err = db.NewInsert().Model(&users).Exec(ctx)
	check(t, err)
	post := &bunPost{UserID: users[0].ID, Title: "first"}
	_, err = db.NewInsert().Model(post).Exec(ctx)
	check(t, err)
	post.Title = "again"
	_, err = db.NewInsert().Model(post).On("CONFLICT (id) DO UPDATE").Set("title = EXCLUDED.title").Exec(ctx)
	check(t, err)

	users[0].Name, users[1].Name = "A", "B"
	broken := errors.New("broken")
	check(t, db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable}, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewUpdate().Model(&users).Column("name").Bulk().Exec(ctx); err != nil {
			return err
		}
		err := tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error { // a savepoint
			if _, err := tx.NewDelete().Model((*bunUser)(nil)).Where("TRUE").Exec(ctx); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			return err
		}
		return nil
	}))
	var got []bunUser
	check(t, db.NewSelect().Model(&got).Relation("Posts").Where("attrs->>'k' = '1'").OrderExpr("u.id").Scan(ctx))
	if len(got) != 1 || got[0].Name != "A" || len(got[0].Posts) != 1 || got[0].Posts[0].Title != "again" || len(got[0].Emails) != 2 {
		t.Errorf("read %+v", got)
	}
	var posts []bunPost
	n, err := db.NewSelect().Model(&posts).Relation("User").Where("p.title = ?", "again").ScanAndCount(ctx)
	if err != nil || n != 1 || posts[0].User.Name != "A" {
		t.Errorf("read %d, %+v, %v", n, posts, err)
	}
	var gone []bunUser
	check(t, db.NewDelete().Model(&gone).Where("id = ?", users[0].ID).Returning("*").Scan(ctx))
	if left, err := db.NewSelect().Model((*bunPost)(nil)).Count(ctx); left != 0 || err != nil || len(gone) != 1 {
		t.Errorf("%d posts are left, %v, of %+v", left, err, gone)
	}
}
