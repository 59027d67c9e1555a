// Package orm has mappers, migration tools and drivers, as their users have them, make a schema,
// migrate it up and down twice, read and write it in transactions, and read the catalog back. It is a
// module of its own, so that the product's has none of this.
//
// Problem: such a tool asks the catalog in its own way, alters what it finds different, holds advisory
// locks, prepares statements under changing schemas, and nobody reads the SQL that it sends. It works
// as on PostgreSQL, or it is of no use.
//
//	gorm, bun                        gorm_test.go, bun_test.go
//	golang-migrate, goose, tern      migrate_test.go
//	database/sql by lib/pq and pgx,
//	and what sqlc generates          plain_test.go
//	node-postgres, knex, drizzle,
//	TypeORM, Sequelize               node, with npm
//
// The server is at CAIRN_URL. Package acceptance starts one and runs this against it
// (TestToolsOfGoWorkUnmodified; TestToolsOfNodeWorkUnmodified at length); against PostgreSQL, which
// shows that the tests themselves are right:
//
//	CAIRN_URL=postgres://… go test .
//	cd node && npm install --no-package-lock && CAIRN_URL=postgres://… npm test
//
// Not here: what other tools were run by hand, docs/compatibility.md.
package orm
