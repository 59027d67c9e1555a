package orm

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// The models of a small shop: every kind of association.

type Account struct {
	gorm.Model
	Email   string `gorm:"size:80;uniqueIndex;not null"`
	Profile Profile
	Orders  []Order
	Tags    []Tag `gorm:"many2many:account_tags"`
}

type Profile struct {
	ID        uint
	AccountID uint   `gorm:"uniqueIndex"`
	Nick      string `gorm:"default:nobody"`
}

type Order struct {
	ID        uint64
	AccountID uint      `gorm:"not null;index:by_account_time,priority:1"`
	Account   Account   `gorm:"constraint:OnDelete:RESTRICT"`
	Placed    time.Time `gorm:"index:by_account_time,priority:2,sort:desc"`
	Cents     int64     `gorm:"check:cents >= 0"`
	Lines     []Line    `gorm:"constraint:OnDelete:CASCADE"`
}

type Line struct {
	OrderID  uint64 `gorm:"primaryKey"`
	Nr       int    `gorm:"primaryKey;autoIncrement:false"`
	What     string
	Quantity int `gorm:"default:1"`
}

type Tag struct {
	ID   uint
	Name string `gorm:"uniqueIndex"`
}

var models = []any{&Account{}, &Profile{}, &Order{}, &Line{}, &Tag{}}

// wider is what a later version makes of lines.
type wider struct {
	OrderID  uint64 `gorm:"primaryKey"`
	Nr       int    `gorm:"primaryKey;autoIncrement:false"`
	What     string `gorm:"size:200;index"`
	Quantity int64  `gorm:"default:2;not null"`
	Note     *string
}

func (wider) TableName() string { return "lines" }

func open(t *testing.T, url string, prepare, simple bool) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(postgres.New(postgres.Config{DSN: url, PreferSimpleProtocol: simple}),
		&gorm.Config{PrepareStmt: prepare, Logger: logger.Default.LogMode(logger.Silent), TranslateError: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c, err := db.DB(); err == nil {
			_ = c.Close()
		}
	})
	return db
}

func must(t *testing.T, db *gorm.DB) {
	t.Helper()
	if db.Error != nil {
		t.Fatal(db.Error)
	}
}

func TestGorm(t *testing.T) {
	for name, mode := range map[string][2]bool{"prepared": {true, false}, "simple": {false, true}} {
		t.Run(name, func(t *testing.T) {
			db := open(t, fresh(t), mode[0], mode[1])
			drop(t, db)
			t.Cleanup(func() { drop(t, db) })
			for range 2 { // the second time there is nothing to do
				if err := db.AutoMigrate(models...); err != nil {
					t.Fatal(err)
				}
			}
			introspects(t, db)
			associates(t, db)
			upserts(t, db)
			transacts(t, db)
			migratesAgain(t, db)
		})
	}
}

func drop(t *testing.T, db *gorm.DB) {
	t.Helper()
	if err := db.Migrator().DropTable("account_tags", &Line{}, &Order{}, &Profile{}, &Tag{}, &Account{}); err != nil {
		t.Error(err)
	}
}

func introspects(t *testing.T, db *gorm.DB) {
	t.Helper()
	m := db.Migrator()
	if !m.HasTable("account_tags") || !m.HasIndex(&Order{}, "by_account_time") || !m.HasConstraint(&Order{}, "Lines") || m.HasColumn(&Line{}, "note") {
		t.Error("the schema is not what was made")
	}
	types, err := m.ColumnTypes(&Account{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range types {
		null, _ := c.Nullable()
		size, _ := c.Length()
		key, _ := c.PrimaryKey()
		unique, _ := c.Unique()
		got = append(got, fmt.Sprintf("%s %s null=%v %d key=%v unique=%v", c.Name(), c.DatabaseTypeName(), null, size, key, unique))
	}
	want := []string{"id int8 null=false 64 key=true unique=false", "created_at timestamptz null=true 64 key=false unique=false",
		"updated_at timestamptz null=true 64 key=false unique=false", "deleted_at timestamptz null=true 64 key=false unique=false",
		"email varchar null=false 80 key=false unique=false"}
	slices.Sort(got) // gorm asks for no order
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("columns are\n%q, want\n%q", got, want)
	}
}

func associates(t *testing.T, db *gorm.DB) {
	t.Helper()
	placed := time.Date(2024, 2, 29, 12, 0, 0, 123456000, time.UTC)
	for i := range 3 {
		must(t, db.Create(&Account{Email: fmt.Sprintf("%d@example.com", i), Profile: Profile{Nick: "nick"}, Tags: []Tag{{Name: fmt.Sprint("own", i)}},
			Orders: []Order{{Placed: placed, Cents: 100, Lines: []Line{{Nr: 1, What: "tea"}, {Nr: 2, What: "cup", Quantity: 3}}}}}))
	}
	var a Account
	must(t, db.Preload("Profile").Preload("Orders.Lines").Preload("Tags").First(&a, "email = ?", "1@example.com"))
	if a.Profile.Nick != "nick" || len(a.Orders) != 1 || len(a.Orders[0].Lines) != 2 || a.Orders[0].Lines[0].Quantity != 1 ||
		!a.Orders[0].Placed.Equal(placed) || len(a.Tags) != 1 {
		t.Errorf("read %+v", a)
	}
	if err := db.Model(&a).Association("Tags").Append(&Tag{Name: "shared"}); err != nil {
		t.Fatal(err)
	}
	if n := db.Model(&a).Association("Tags").Count(); n != 2 {
		t.Errorf("%d tags", n)
	}
	if err := db.Model(&a).Association("Tags").Clear(); err != nil {
		t.Fatal(err)
	}
	var joined []Order
	must(t, db.Joins("Account").Where("\"Account\".\"email\" LIKE ?", "%@example.com").Order("orders.id").Find(&joined))
	if len(joined) != 3 || joined[2].Account.Email != "2@example.com" {
		t.Errorf("joined %+v", joined)
	}
	if err := db.Delete(&Order{}, joined[0].ID).Error; err != nil {
		t.Error(err)
	}
	var lines int64
	must(t, db.Model(&Line{}).Count(&lines))
	if lines != 4 {
		t.Errorf("%d lines are left", lines)
	}
	if err := db.Create(&Order{AccountID: 999999}).Error; !errors.Is(err, gorm.ErrForeignKeyViolated) {
		t.Errorf("an order of nobody: %v", err)
	}
	if err := db.Create(&Order{AccountID: a.ID, Cents: -1}).Error; !errors.Is(err, gorm.ErrCheckConstraintViolated) {
		t.Errorf("an order of less than nothing: %v", err)
	}
}

func upserts(t *testing.T, db *gorm.DB) {
	t.Helper()
	if err := db.Create(&Tag{Name: "own1"}).Error; !errors.Is(err, gorm.ErrDuplicatedKey) {
		t.Errorf("a second tag of one name: %v", err)
	}
	tags := []Tag{{ID: 1, Name: "renamed"}, {ID: 100, Name: "new"}}
	must(t, db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).Create(&tags))
	must(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&Tag{Name: "new"}))
	var names []string
	must(t, db.Model(&Tag{}).Order("id").Pluck("name", &names))
	if !slices.Equal(names, []string{"renamed", "own1", "own2", "shared", "new"}) {
		t.Errorf("tags are %q", names)
	}
	var back []Line
	must(t, db.Model(&back).Clauses(clause.Returning{}).Where("nr = ?", 1).Updates(map[string]any{"quantity": gorm.Expr("quantity + ?", 5)}))
	if len(back) != 2 || back[0].Quantity != 6 {
		t.Errorf("updated %+v", back)
	}
	var tag Tag
	must(t, db.Where(Tag{Name: "found"}).FirstOrCreate(&tag))
	must(t, db.Where(Tag{Name: "found"}).FirstOrCreate(&tag))
	must(t, db.Model(&Tag{}).Where("name = ?", "found").Count(new(int64)))
}

func transacts(t *testing.T, db *gorm.DB) {
	t.Helper()
	broken := errors.New("broken")
	err := db.Transaction(func(tx *gorm.DB) error {
		must(t, tx.Clauses(clause.Locking{Strength: "UPDATE"}).First(&Account{}))
		must(t, tx.Create(&Tag{Name: "kept"}))
		if err := tx.Transaction(func(tx *gorm.DB) error { // a savepoint
			must(t, tx.Create(&Tag{Name: "lost"}))
			return broken
		}); !errors.Is(err, broken) {
			return err
		}
		return tx.CreateInBatches([]Tag{{Name: "b1"}, {Name: "b2"}, {Name: "b3"}}, 2).Error
	})
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	must(t, db.Model(&Tag{}).Where("name IN ?", []string{"kept", "lost", "b1", "b2", "b3"}).Count(&n))
	if n != 4 {
		t.Errorf("%d tags of the transaction", n)
	}
}

// migratesAgain has a later version of the program find its tables, under statements that
// were prepared before.
func migratesAgain(t *testing.T, db *gorm.DB) {
	t.Helper()
	for range 2 {
		if err := db.AutoMigrate(&wider{}); err != nil {
			t.Fatal(err)
		}
	}
	m := db.Migrator()
	var w wider
	must(t, db.First(&w, "nr = ?", 2))
	if w.Quantity != 3 || w.Note != nil || !m.HasIndex(&wider{}, "What") {
		t.Errorf("read %+v", w)
	}
	for _, err := range []error{m.RenameColumn(&wider{}, "what", "item"), m.DropColumn(&wider{}, "note"), m.RenameTable("lines", "items"),
		m.RenameTable("items", "lines"), m.RenameColumn(&wider{}, "item", "what"), m.DropIndex(&wider{}, "What"), m.DropConstraint(&Order{}, "Lines")} {
		if err != nil {
			t.Error(err)
		}
	}
	var lines []Line
	must(t, db.Order("order_id, nr").Find(&lines))
	if len(lines) != 4 {
		t.Errorf("%d lines", len(lines))
	}
}
