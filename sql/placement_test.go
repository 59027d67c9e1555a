package sql

import (
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

func TestWhatATableMayAskForItsReplicas(t *testing.T) {
	_, srv := newTestServerEnv(t)
	s := newTestSession(t, srv)
	asks := func(replicas int, locality string) {
		t.Helper()
		snap, err := srv.cfg.Catalog.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range snap.Tables(s.db.ID) {
			if o.Name == "t" && (o.Replicas != replicas || o.Locality != locality || snap.KeepsApart(o) != (replicas > 0 || locality != "")) {
				t.Errorf("%d replicas in %q", o.Replicas, o.Locality)
			}
		}
	}
	mustShow(t, s, "create table t (a int primary key) with (replicas = 5, locality = 'region=eu')", "CREATE TABLE")
	asks(5, "region=eu")
	mustShow(t, s, "select reloptions from pg_class where relname = 't'", "{replicas=5,locality=region=eu} SELECT 1")
	for _, v := range []string{"replicas = 1", "replicas = 10", "replicas = many", "replicas", "locality = 'eu'", "locality = 'a=1,a=2'"} {
		wantError(t, s, "alter table t set ("+v+")", sqlerr.InvalidParameterValue)
	}
	asks(5, "region=eu")
	mustShow(t, s, "alter table t reset (replicas)", "ALTER TABLE")
	asks(0, "region=eu")
	mustShow(t, s, "alter table t set (replicas = 7)", "ALTER TABLE")
	mustShow(t, s, "alter table t reset (locality)", "ALTER TABLE")
	asks(7, "")
	mustShow(t, s, "alter table t reset (replicas)", "ALTER TABLE")
	asks(0, "")
}

// TestWhatADatabaseAsksForItsTables: it counts for tables that are there and for new
// ones, as far as they do not ask themselves.
func TestWhatADatabaseAsksForItsTables(t *testing.T) {
	_, srv := newTestServerEnv(t)
	s := newTestSession(t, srv)
	mustShow(t, s, "create table before (a int primary key)", "CREATE TABLE")
	mustShow(t, s, "create table own (a int primary key) with (replicas = 7)", "CREATE TABLE")
	shows := func(want string) {
		t.Helper()
		mustShow(t, s, "select table_name, replicas, replicas_of, locality, locality_of from cairn.placements where database_name = 'defaultdb' order by table_name nulls first", want)
	}
	shows("own|7|table|NULL|NULL SELECT 1")
	mustShow(t, s, "alter database defaultdb with replicas = 5 locality = 'region=eu'", "ALTER DATABASE")
	mustShow(t, s, "create table later (a int primary key) with (locality = 'region=us')", "CREATE TABLE")
	shows("NULL|5|database|region=eu|database before|5|database|region=eu|database " +
		"later|5|database|region=us|table own|7|table|region=eu|database SELECT 4")
	snap, err := srv.cfg.Catalog.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range snap.Tables(s.db.ID) {
		if !snap.KeepsApart(x) {
			t.Errorf("%s may share a range with others", x.Name)
		}
	}
	for _, v := range []string{"replicas = 1", "replicas = many", "locality = 'eu'"} {
		wantError(t, s, "alter database defaultdb with "+v, sqlerr.InvalidParameterValue)
	}
	wantError(t, s, "alter database defaultdb with tablespace x", sqlerr.FeatureNotSupported)
	wantError(t, s, "alter database nowhere with replicas = 5", sqlerr.InvalidCatalogName)
	mustShow(t, s, "alter database defaultdb with replicas default", "ALTER DATABASE")
	mustShow(t, s, "alter database defaultdb with locality default", "ALTER DATABASE")
	shows("later|NULL|NULL|region=us|table own|7|table|NULL|NULL SELECT 2")
	mustShow(t, s, "create database d with replicas 3 locality 'zone=a'", "CREATE DATABASE")
	mustShow(t, s, "select replicas, locality from cairn.placements where database_name = 'd'", "3|zone=a SELECT 1")
	mustShow(t, s, "create role other login; grant connect on database defaultdb to other", "CREATE ROLE GRANT")
	o, err := srv.NewSession(t.Context(), SessionArgs{User: "other", Database: "defaultdb", BackendPID: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	wantError(t, o, "alter database defaultdb with replicas = 5", sqlerr.InsufficientPrivilege)
}
