package sql

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/plan"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/statements"
	"github.com/cairndb/cairn/sql/types"
)

// varDef defines a session parameter.
type varDef struct {
	def string
	// report: the client is told of changes (ParameterStatus); the name as Postgres spells it.
	report string
	// fixed parameters can be shown but not set; setting one to what it is, is allowed.
	fixed bool
	// system: only ALTER SYSTEM sets it.
	system bool
	// super: only superusers set it.
	super bool
	unit  string // ms: a duration
	boole bool
	apply func(s *Session, v string) (string, error)
}

// varDefs are the parameters that Cairn knows. What has no effect here but is set by clients as a
// matter of course is accepted.
var varDefs = map[string]varDef{
	"application_name":                    {report: "application_name"},
	"client_encoding":                     {def: "UTF8", report: "client_encoding", apply: applyEncoding},
	"datestyle":                           {def: "ISO, MDY", report: "DateStyle", apply: applyDateStyle},
	"default_transaction_read_only":       {def: "off", report: "default_transaction_read_only", boole: true},
	"default_transaction_isolation":       {def: serializable, apply: applyDefaultIsolation},
	"default_transaction_deferrable":      {def: "off", boole: true},
	"transaction_isolation":               {def: serializable},
	"transaction_read_only":               {def: "off", boole: true, apply: applyReadOnly},
	"transaction_deferrable":              {def: "off", boole: true, apply: applyDeferrable},
	"extra_float_digits":                  {def: "1", apply: applyFloatDigits},
	"bytea_output":                        {def: "hex", apply: applyBytea},
	"integer_datetimes":                   {def: "on", report: "integer_datetimes", fixed: true},
	"intervalstyle":                       {def: "postgres", report: "IntervalStyle", fixed: true},
	"is_superuser":                        {def: "on", report: "is_superuser", fixed: true},
	"in_hot_standby":                      {def: "off", report: "in_hot_standby", fixed: true},
	"server_encoding":                     {def: "UTF8", report: "server_encoding", fixed: true},
	"server_version":                      {def: "15.0", report: "server_version", fixed: true},
	"server_version_num":                  {def: "150000", fixed: true},
	"session_authorization":               {report: "session_authorization", fixed: true},
	"standard_conforming_strings":         {def: "on", report: "standard_conforming_strings", fixed: true},
	"timezone":                            {def: "UTC", report: "TimeZone", apply: applyTimeZone},
	"search_path":                         {def: `"$user", public`},
	"statement_timeout":                   {def: "0", unit: "ms", apply: applyTimeout(func(s *Session) *time.Duration { return &s.vars.statementTimeout })},
	"lock_timeout":                        {def: "0", unit: "ms", apply: applyTimeout(func(s *Session) *time.Duration { return &s.vars.lockTimeout })},
	"idle_in_transaction_session_timeout": {def: "0", unit: "ms", apply: applyTimeout(func(s *Session) *time.Duration { return &s.vars.idleInTxnTimeout })},
	"idle_session_timeout":                {def: "0", unit: "ms", apply: applyTimeout(func(s *Session) *time.Duration { return &s.vars.idleTimeout })},
	"client_min_messages":                 {def: "notice", apply: applyMinMessages},
	"synchronous_commit":                  {def: "on"},
	"row_security":                        {def: "on", boole: true, apply: applyRowSecurity},
	"escape_string_warning":               {def: "on", boole: true},
	"backslash_quote":                     {def: "safe_encoding"},
	"default_table_access_method":         {def: "heap"},
	"default_tablespace":                  {},
	"default_with_oids":                   {def: "off", boole: true},
	"check_function_bodies":               {def: "on", boole: true},
	"xmloption":                           {def: "content"},
	"lc_messages":                         {def: "C"},
	"lc_monetary":                         {def: "C"},
	"lc_numeric":                          {def: "C"},
	"lc_time":                             {def: "C"},
	"lc_collate":                          {def: "C", fixed: true},
	"lc_ctype":                            {def: "C", fixed: true},
	"max_identifier_length":               {def: "63", fixed: true},
	"max_index_keys":                      {def: "32", fixed: true},
	maxConnections:                        {def: strconv.Itoa(maxConnectionsDefault), system: true, apply: applyMaxConnections},
	hbaSetting:                            {system: true, apply: applyHBA},
	"block_size":                          {def: "8192", fixed: true},
	"work_mem":                            {def: "64MB", apply: applyKB("work_mem", 64, math.MaxInt32, func(s *Session) *int64 { return &s.vars.workMem })},
	"temp_file_limit":                     {def: "-1", apply: applyKB("temp_file_limit", -1, math.MaxInt32, func(s *Session) *int64 { return &s.vars.tempMax })},
	forceSpill:                            {def: "0", apply: applyForceSpill},
	"maintenance_work_mem":                {def: "64MB"},
	"temp_buffers":                        {def: "8MB"},
	"effective_cache_size":                {def: "4GB"},
	"random_page_cost":                    {def: "4"},
	"seq_page_cost":                       {def: "1"},
	"jit":                                 {def: "off", boole: true},
	"geqo":                                {def: "on", boole: true},
	"enable_seqscan":                      {def: "on", boole: true},
	"enable_indexscan":                    {def: "on", boole: true, apply: applyAvoid(func(m *plan.Methods) *bool { return &m.Index })},
	"enable_bitmapscan":                   {def: "on", boole: true},
	"enable_hashjoin":                     {def: "on", boole: true, apply: applyAvoid(func(m *plan.Methods) *bool { return &m.Hash })},
	"enable_mergejoin":                    {def: "on", boole: true},
	"enable_nestloop":                     {def: "on", boole: true, apply: applyAvoid(func(m *plan.Methods) *bool { return &m.Loop })},
	"enable_async_append":                 {def: "on", boole: true},
	"enable_gathermerge":                  {def: "on", boole: true},
	"enable_hashagg":                      {def: "on", boole: true},
	"enable_incremental_sort":             {def: "on", boole: true},
	"enable_indexonlyscan":                {def: "on", boole: true},
	"enable_material":                     {def: "on", boole: true},
	"enable_memoize":                      {def: "on", boole: true},
	"enable_parallel_append":              {def: "on", boole: true},
	"enable_parallel_hash":                {def: "on", boole: true},
	"enable_partition_pruning":            {def: "on", boole: true},
	"enable_partitionwise_aggregate":      {def: "off", boole: true},
	"enable_partitionwise_join":           {def: "off", boole: true},
	"enable_sort":                         {def: "on", boole: true},
	"enable_tidscan":                      {def: "on", boole: true},
	"geqo_threshold":                      {def: "12"},
	"from_collapse_limit":                 {def: "8"},
	"join_collapse_limit":                 {def: "8"},
	"parallel_setup_cost":                 {def: "1000"},
	"parallel_tuple_cost":                 {def: "0.1"},
	"cpu_tuple_cost":                      {def: "0.01"},
	"cpu_index_tuple_cost":                {def: "0.005"},
	"cpu_operator_cost":                   {def: "0.0025"},
	"min_parallel_table_scan_size":        {def: "8MB"},
	"min_parallel_index_scan_size":        {def: "512kB"},
	"hash_mem_multiplier":                 {def: "2"},
	"jit_above_cost":                      {def: "100000"},
	"max_stack_depth":                     {def: "2MB"},
	"max_parallel_workers_per_gather":     {def: "0"},
	"plan_cache_mode":                     {def: "auto"},
	"log_statement":                       {def: "none"},
	"log_min_messages":                    {def: "warning"},
	"log_min_duration_statement":          {def: "-1"},
	"password_encryption":                 {def: "scram-sha-256", fixed: true},
	"ssl":                                 {def: "off", fixed: true},
	"wal_level":                           {def: "replica", fixed: true},
	"role":                                {def: "none", apply: applyRole},
	"session_replication_role":            {def: "origin"},
	"constraint_exclusion":                {def: "partition"},
	"commit_delay":                        {def: "0"},
	"gin_fuzzy_search_limit":              {def: "0"},
	"tcp_keepalives_idle":                 {def: "0"},
	"tcp_keepalives_interval":             {def: "0"},
	"tcp_keepalives_count":                {def: "0"},
	"vacuum_cost_delay":                   {def: "0"},
	"autovacuum":                          {def: "on", fixed: true},
	"track_activities":                    {def: "on", boole: true},
	"huge_pages":                          {def: "off", fixed: true},
	"data_checksums":                      {def: "on", fixed: true},
	"transform_null_equals":               {def: "off", boole: true},
	"array_nulls":                         {def: "on", boole: true},
	"quote_all_identifiers":               {def: "off", boole: true},
	"synchronize_seqscans":                {def: "on", boole: true},
	idempotencyKey:                        {},
	idempotencyRetention:                  {def: "7d", unit: "ms", apply: applyRetention},
	readAsOf:                              {apply: applyAsOf},
	causalityToken:                        {apply: applyToken},
	dialect:                               {def: postgresDialect, apply: applyDialect},
	"cairn.consistency":                   {def: "default", apply: applyConsistency},
	"cairn.statement_mem":                 {def: "256MB", apply: applyKB("cairn.statement_mem", 1024, math.MaxInt32, func(s *Session) *int64 { return &s.vars.statementMem })},
	"cairn.durable_locks":                 {def: "on", boole: true},
	sharedRanges:                          {def: "off", boole: true},
	pushdownSetting:                       {def: "on", apply: applyPushdown},
	optimizerSetting:                      {def: "on", boole: true, apply: applyAvoid(func(m *plan.Methods) *bool { return &m.Rewrites })},
	statementsTrack:                       {def: "top", super: true, apply: applyTrack},
	statementsUtility:                     {def: "on", boole: true, super: true, apply: applyTrackUtility},
	"pg_stat_statements.max":              {def: strconv.Itoa(statements.Max), fixed: true},
	"pg_stat_statements.save":             {def: "off", fixed: true},
	"pg_stat_statements.track_planning":   {def: "on", fixed: true},
	backfillShare:                         {def: strconv.Itoa(backfillShareDefault), system: true, apply: applyBackfillShare},
	indexCheckSetting:                     {def: "24h", unit: "ms", system: true, apply: applyIndexCheckInterval},
	autoAnalyzeSetting:                    {def: "on", boole: true, system: true},
	clusterVersion:                        {def: "1", fixed: true},
	HoldVersionSetting:                    {def: "off", boole: true, system: true},
	gcTTL:                                 {def: "1h", unit: "ms", system: true, apply: applyGCTTL},
}

// sharedRanges lets tables that the session creates share the range of the table
// before (schema.Resolver.ShareRanges), until size or load divides it.
const sharedRanges = "cairn.shared_ranges"

// pushdownSetting has filters and aggregates of long scans done by the nodes that lead the ranges (package
// pushdown): on; force does so from a scan's first page on, which is for tests; off.
const pushdownSetting = "cairn.pushdown"

func applyPushdown(s *Session, v string) (string, error) {
	switch v = strings.ToLower(v); v {
	case "on", "off", "force":
	default:
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", pushdownSetting, v).
			WithHint("Available values: on, off, force.")
	}
	s.vars.pushdownOff, s.vars.pushdownForced = v == "off", v == "force"
	return v, nil
}

// vars are a session's parameters: values only where they differ from the default.
type vars struct {
	s     *Session
	vals  map[string]string
	start map[string]string // what RESET goes back to
	// cluster is what holds without either, as far as the session has taken it in.
	cluster *settingsView

	// told is what the client knows of the parameters it is told of, where that is not the default;
	// stale says that it may not be the truth any more.
	told  map[string]string
	stale bool

	avoid plan.Methods
	// workMem, statementMem and tempMax are bytes; 0: nobody has said.
	workMem, statementMem, tempMax, forceSpill                   int64
	statementTimeout, lockTimeout, idleInTxnTimeout, idleTimeout time.Duration
	// minMessages is the least severity of notices that the client wants, "" for that of notices.
	minMessages string
	// pushdownOff and pushdownForced are pushdownSetting.
	pushdownOff, pushdownForced bool
	// rowSecurityOff: policies that would hide rows are an error.
	rowSecurityOff bool
	// trackNothing and trackNoUtility: pg_stat_statements leaves out all, or what is not planned.
	trackNothing, trackNoUtility bool
}

func newVars(s *Session) vars {
	return vars{s: s, vals: map[string]string{}, told: map[string]string{}, start: map[string]string{"session_authorization": s.args.User}}
}

func (v *vars) lookup(name string) (string, bool) {
	name = strings.ToLower(name)
	if name == "transaction_isolation" { // the transaction's own
		if v.s.tx != nil {
			return v.s.tx.level, true
		}
		name = "default_transaction_isolation"
	}
	if tx := v.s.tx; tx != nil {
		switch name {
		case "transaction_read_only":
			return onOff(tx.readOnly), true
		case "transaction_deferrable":
			return onOff(tx.deferrable), true
		}
	}
	switch name {
	case causalityToken:
		return v.s.causality.String(), true
	case clusterVersion:
		return v.s.srv.clusterVersion(), true
	}
	if x, ok := v.vals[name]; ok {
		return x, true
	}
	if x, ok := v.start[name]; ok {
		return x, true
	}
	if x, ok := v.cluster.get(name); ok {
		return x, true
	}
	d, ok := varDefs[name]
	return d.def, ok
}

func (v *vars) get(name string) string {
	x, _ := v.lookup(name)
	return x
}

func (v *vars) startup(name, value string) error {
	name = strings.ToLower(name)
	value, err := v.check(name, value)
	if err != nil {
		return err
	}
	v.start[name] = value
	return nil
}

// check validates a value, makes it effective, and gives its canonical form.
func (v *vars) check(name, value string) (string, error) {
	d, ok := varDefs[name]
	if !ok {
		if strings.Contains(name, ".") {
			return value, nil // a placeholder, as Postgres allows for extensions
		}
		return "", sqlerr.New(sqlerr.UndefinedObject, "unrecognized configuration parameter \"%s\"", name)
	}
	if d.fixed {
		if strings.EqualFold(value, v.get(name)) {
			return value, nil
		}
		return "", sqlerr.New(sqlerr.CantChangeRuntimeParam, "parameter \"%s\" cannot be changed", name)
	}
	if d.system {
		return "", sqlerr.New(sqlerr.CantChangeRuntimeParam, "parameter \"%s\" cannot be changed now", name).
			WithHint("ALTER SYSTEM SET changes it for the whole cluster.")
	}
	if d.super && !v.s.isSuperuser() {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to set parameter \"%s\"", name)
	}
	return v.checkValue(name, value, &d)
}

// checkValue checks a value of a parameter that may be set.
func (v *vars) checkValue(name, value string, d *varDef) (string, error) {
	if d.boole {
		b, err := parseBool(name, value)
		if err != nil {
			return "", err
		}
		value = b
	}
	if d.unit == "ms" {
		ms, err := parseMillis(name, value)
		if err != nil {
			return "", err
		}
		value = ms
	}
	if d.apply != nil {
		return d.apply(v.s, value)
	}
	return value, nil
}

func parseBool(name, v string) (string, error) {
	switch strings.ToLower(v) {
	case "on", "true", "yes", "1", "t", "y":
		return "on", nil
	case "off", "false", "no", "0", "f", "n":
		return "off", nil
	}
	return "", sqlerr.New(sqlerr.InvalidParameterValue, "parameter \"%s\" requires a Boolean value", name)
}

// parseMillis reads 100, 100ms, 2s, 1min, … and prints it as Postgres shows it.
func parseMillis(name, v string) (string, error) {
	ms, ok := millis(v)
	if ok && (ms < 0 || ms > math.MaxInt32) {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "%d ms is outside the valid range for parameter \"%s\" (0 .. %d)", ms, name, math.MaxInt32)
	}
	if !ok {
		err := sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", name, v)
		if v != "" && v[0] >= '0' && v[0] <= '9' {
			err = err.WithHint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")
		}
		return "", err
	}
	for _, u := range []struct {
		ms   int64
		name string
	}{{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}} {
		if ms != 0 && ms%u.ms == 0 {
			return strconv.FormatInt(ms/u.ms, 10) + u.name, nil
		}
	}
	return "0", nil
}

func millis(v string) (int64, bool) {
	v = strings.TrimSpace(v)
	i := 0
	for i < len(v) && (v[i] >= '0' && v[i] <= '9' || v[i] == '.' || v[i] == '-') {
		i++
	}
	n, err := strconv.ParseFloat(v[:i], 64)
	factor, ok := map[string]float64{"": 1, "us": 0.001, "ms": 1, "s": 1000, "min": 60000, "h": 3600000, "d": 86400000}[strings.TrimSpace(v[i:])]
	return int64(n * factor), ok && err == nil
}

func applyTimeout(field func(*Session) *time.Duration) func(*Session, string) (string, error) {
	return func(s *Session, v string) (string, error) {
		ms, _ := millis(v)
		*field(s) = time.Duration(ms) * time.Millisecond
		return v, nil
	}
}

// messageLevels are what client_min_messages takes, from all to few.
var messageLevels = []string{"debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"}

func applyMinMessages(s *Session, v string) (string, error) {
	v = strings.ToLower(v)
	if v == "debug" {
		v = "debug2"
	}
	if !slices.Contains(messageLevels, v) {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"client_min_messages\": \"%s\"", v).
			WithHint("Available values: %s.", strings.Join(messageLevels, ", "))
	}
	s.vars.minMessages = v
	return v, nil
}

// notice sends a notice to the client, unless it does not want those of its severity.
func (s *Session) notice(w ResultWriter, e *sqlerr.Error) error {
	level := strings.ToLower(string(e.Severity))
	if level == "debug" {
		level = "debug1"
	}
	if i := slices.Index(messageLevels, level); i >= 0 && i < slices.Index(messageLevels, cmp.Or(s.vars.minMessages, "notice")) {
		return nil
	}
	return w.Notice(e)
}

// applyKB takes an amount of memory, in kilobytes where it has no unit.
func applyKB(name string, lo, hi int64, field func(*Session) *int64) func(*Session, string) (string, error) {
	return func(s *Session, v string) (string, error) {
		kb, ok := kilobytes(v)
		if !ok {
			err := sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", name, v)
			if v != "" && v[0] >= '0' && v[0] <= '9' {
				err = err.WithHint("Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".")
			}
			return "", err
		}
		if kb < lo || kb > hi {
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "%d kB is outside the valid range for parameter \"%s\" (%d .. %d)", kb, name, lo, hi)
		}
		*field(s) = max(kb, 0) << 10
		switch {
		case kb <= 0:
			return strconv.FormatInt(kb, 10), nil
		case kb%(1<<20) == 0:
			return strconv.FormatInt(kb>>20, 10) + "GB", nil
		case kb%(1<<10) == 0:
			return strconv.FormatInt(kb>>10, 10) + "MB", nil
		}
		return strconv.FormatInt(kb, 10) + "kB", nil
	}
}

func kilobytes(v string) (int64, bool) {
	v = strings.TrimSpace(v)
	i := 0
	for i < len(v) && (v[i] >= '0' && v[i] <= '9' || v[i] == '.' || v[i] == '-') {
		i++
	}
	n, err := strconv.ParseFloat(v[:i], 64)
	factor, ok := map[string]float64{"": 1, "B": 1.0 / 1024, "kB": 1, "MB": 1 << 10, "GB": 1 << 20, "TB": 1 << 30}[strings.TrimSpace(v[i:])]
	if err != nil || !ok || math.Abs(n*factor) > math.MaxInt32*2 {
		return 0, false
	}
	return int64(math.Round(n * factor)), true
}

// forceSpill is for tests: operators write to temporary files once they hold so many bytes; 0: as usual.
const forceSpill = "cairn.force_spill"

func applyForceSpill(s *Session, v string) (string, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", forceSpill, v)
	}
	s.vars.forceSpill = n
	return v, nil
}

// applyAvoid makes plans avoid a method where a setting is off.
func applyAvoid(field func(*plan.Methods) *bool) func(*Session, string) (string, error) {
	return func(s *Session, v string) (string, error) {
		*field(&s.vars.avoid) = v == "off"
		return v, nil
	}
}

// applyRole gives the session the rights of another role, of which its user must be a member.
func applyRole(s *Session, v string) (string, error) {
	if v == "none" || v == s.args.User {
		s.role = ""
	} else {
		c := s.contentsWithRole(v)
		switch {
		case c == nil || c.Role(v) == nil:
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "role \"%s\" does not exist", v)
		case !c.IsSuperuser(s.args.User) && !c.IsMember(s.args.User, v):
			return "", sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to set role \"%s\"", v)
		}
		s.role = v
	}
	s.pg.User = s.user()
	return v, nil
}

// contentsWithRole is the catalog as the transaction sees it, read again if it does not know the role.
func (s *Session) contentsWithRole(name string) *schema.Contents {
	if c := s.pg.Contents; s.tx == nil || s.tx.failed || c != nil && c.Role(name) != nil {
		return c
	}
	snap, err := s.tx.r.Snapshot(s.ec.Ctx)
	if err == nil && snap.Role(name) == nil && s.tx.r.ChangeCount() == 0 {
		if err = s.tx.r.Refresh(s.ec.Ctx); err == nil {
			snap, err = s.tx.r.Snapshot(s.ec.Ctx)
		}
	}
	if err != nil {
		return s.pg.Contents
	}
	return snap.Contents
}

// user is the role whose rights the session has.
func (s *Session) user() string {
	if s.role != "" {
		return s.role
	}
	return s.args.User
}

func applyEncoding(s *Session, v string) (string, error) {
	switch strings.ToUpper(strings.ReplaceAll(v, "-", "")) {
	case "UTF8", "UNICODE", "SQL_ASCII", "SQLASCII":
		return "UTF8", nil
	}
	return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"client_encoding\": \"%s\"", v).
		WithHint("Only UTF8 is supported.")
}

func applyDateStyle(s *Session, v string) (string, error) {
	order := map[types.DateOrder]string{types.DateMDY: "MDY", types.DateDMY: "DMY", types.DateYMD: "YMD"}[s.env.DateOrder]
	for _, p := range strings.Split(v, ",") {
		switch strings.ToUpper(strings.TrimSpace(p)) {
		case "ISO":
		case "MDY", "US", "NONEURO", "NONEUROPEAN", "DEFAULT":
			order = "MDY"
		case "DMY", "EURO", "EUROPEAN":
			order = "DMY"
		case "YMD":
			order = "YMD"
		default:
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"DateStyle\": \"%s\"", v).
				WithHint("Dates are shown as ISO; MDY, DMY and YMD say how they are read.")
		}
	}
	s.env.DateOrder = map[string]types.DateOrder{"MDY": types.DateMDY, "DMY": types.DateDMY, "YMD": types.DateYMD}[order]
	return "ISO, " + order, nil
}

// applyConsistency: strict has commits wait until no clock of the cluster is behind them.
func applyConsistency(_ *Session, v string) (string, error) {
	switch v := strings.ToLower(v); v {
	case "default", "strict":
		return v, nil
	}
	return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"cairn.consistency\": \"%s\"", v).
		WithHint("Available values: default, strict.")
}

func applyRowSecurity(s *Session, v string) (string, error) {
	s.vars.rowSecurityOff = v == "off"
	return v, nil
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func applyReadOnly(s *Session, v string) (string, error) {
	if s.tx != nil {
		s.tx.readOnly = v == "on"
	}
	return v, nil
}

func applyDeferrable(s *Session, v string) (string, error) {
	if s.tx != nil {
		s.tx.deferrable = v == "on"
	}
	return v, nil
}

func applyFloatDigits(s *Session, v string) (string, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < -15 || n > 3 {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "%s is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)", v)
	}
	s.env.FloatDigits = 0
	if n <= 0 {
		s.env.FloatDigits = n - 1
	}
	return v, nil
}

func applyBytea(s *Session, v string) (string, error) {
	switch strings.ToLower(v) {
	case "hex", "escape":
		s.env.ByteaEscape = strings.EqualFold(v, "escape")
		return strings.ToLower(v), nil
	}
	return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"bytea_output\": \"%s\"", v)
}

func applyTimeZone(s *Session, v string) (string, error) {
	loc, name, ok := parseZone(v)
	if !ok {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"TimeZone\": \"%s\"", v)
	}
	s.env.Loc = loc
	return name, nil
}

// posixZone is a zone by its distance, POSIX's TZ without a rule for summer: the sign is for west.
var posixZone = regexp.MustCompile(`^(?:<[^<>]*>|[A-Za-z]*)([+-]?)([0-9]{1,2})(?::([0-9]{2}))?(?::([0-9]{2}))?$`)

// parseZone reads a zone's name, hours east, or a POSIX specification, and gives the name that SHOW
// shows.
func parseZone(v string) (*time.Location, string, bool) {
	switch strings.ToLower(v) {
	case "utc", "gmt", "default", "local", "zulu", "etc/utc":
		if strings.EqualFold(v, "default") || strings.EqualFold(v, "local") {
			v = "UTC"
		}
		return time.UTC, v, true
	}
	if h, err := strconv.ParseFloat(v, 64); err == nil && h >= -24 && h <= 24 {
		east := int(h * 3600)
		return time.FixedZone("", east), "<" + zoneOffset(east) + ">" + zoneOffset(-east), true
	}
	if loc, err := time.LoadLocation(v); err == nil {
		return loc, v, true
	}
	if m := posixZone.FindStringSubmatch(v); m != nil {
		west := 0
		for i, unit := range []int{3600, 60, 1} {
			n, _ := strconv.Atoi(m[2+i])
			west += n * unit
		}
		if m[1] == "-" {
			west = -west
		}
		return time.FixedZone("", -west), v, west <= 24*3600 && west >= -24*3600
	}
	return nil, "", false
}

// zoneOffset prints seconds as +hh[:mm].
func zoneOffset(seconds int) string {
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	s := fmt.Sprintf("%s%02d", sign, seconds/3600)
	if m := seconds / 60 % 60; m != 0 {
		s += fmt.Sprintf(":%02d", m)
	}
	return s
}

// startupOrder is the order in which Postgres reports parameters.
var startupOrder = []string{"in_hot_standby", "integer_datetimes", "timezone", "intervalstyle", "is_superuser",
	"application_name", "default_transaction_read_only", "standard_conforming_strings", "client_encoding",
	"server_version", "server_encoding", "datestyle", "session_authorization"}

func (v *vars) reported() []Param {
	out := make([]Param, 0, len(startupOrder))
	for _, n := range startupOrder {
		out = append(out, Param{varDefs[n].report, v.get(n)})
	}
	return out
}

func (v *vars) settings() []pgcatalog.Setting {
	var out []pgcatalog.Setting
	for _, n := range v.names() {
		out = append(out, v.setting(n))
	}
	return out
}

// setting is a row of pg_settings.
func (v *vars) setting(name string) pgcatalog.Setting {
	d := varDefs[name]
	set := pgcatalog.Setting{Name: name, Value: v.get(name), VarType: "string", Default: d.def, Reset: d.def, Source: "default"}
	if x, ok := v.cluster.get(name); ok {
		set.Reset, set.Source = x, "configuration file"
	}
	if x, ok := v.start[name]; ok {
		set.Reset, set.Source = x, "client"
	}
	if _, ok := v.vals[name]; ok {
		set.Source = "session"
	}
	if d.fixed {
		set.Context = "internal"
	}
	return set
}

func (v *vars) names() []string {
	out := make([]string, 0, len(varDefs))
	for n := range varDefs {
		out = append(out, n)
	}
	for n := range v.vals {
		if _, ok := varDefs[n]; !ok {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out
}

// setVar is SET [LOCAL]. A change is undone if its transaction rolls back, a local one at its end.
// w, if not nil, is told.
func (s *Session) setVar(name, value string, local bool, w ResultWriter) error {
	name = strings.ToLower(name)
	if name == "transaction_isolation" {
		return s.setIsolation(value)
	}
	if name == causalityToken {
		return s.setCausality(value)
	}
	if name == idempotencyKey {
		if err := s.claimKey(s.ec.Ctx, value, local); err != nil {
			return err
		}
	}
	before := s.vars.get(name)
	v, err := s.vars.check(name, value)
	if err != nil {
		return err
	}
	old, had := s.vars.vals[name]
	if s.tx != nil {
		s.tx.undo = append(s.tx.undo, varUndo{name: name, old: old, had: had, local: local})
	}
	s.vars.vals[name] = v
	if name == readAsOf && s.tx != nil && s.tx.explicit {
		if err := s.readPast(); err != nil {
			return err
		}
	}
	return s.reportVar(name, before, w)
}

func (s *Session) resetVar(name string, w ResultWriter) error {
	name = strings.ToLower(name)
	if name == "transaction_isolation" {
		return s.setIsolation(s.vars.get("default_transaction_isolation"))
	}
	def, ok := s.vars.start[name]
	if !ok {
		d, known := varDefs[name]
		if !known && !strings.Contains(name, ".") {
			return sqlerr.New(sqlerr.UndefinedObject, "unrecognized configuration parameter \"%s\"", name)
		}
		if def, ok = s.vars.cluster.get(name); !ok {
			def = d.def
		}
	}
	if varDefs[name].fixed {
		return nil
	}
	if err := s.setVar(name, def, false, w); err != nil {
		return err
	}
	if _, known := varDefs[name]; known {
		delete(s.vars.vals, name) // it follows the default from here on
	}
	return nil
}

func (s *Session) reportVar(name, before string, w ResultWriter) error {
	d := varDefs[name]
	if now := s.vars.get(name); w != nil && d.report != "" && now != before {
		s.vars.told[name] = now
		return w.ParameterStatus(d.report, now)
	}
	if w == nil {
		s.vars.stale = true
	}
	return nil
}

// reportStale tells the client of changes that no SET made: set_config, and what the end of a
// transaction took back.
func (s *Session) reportStale(w ResultWriter) error {
	if err := s.reportCausality(w); err != nil {
		return err
	}
	if !s.vars.stale {
		return nil
	}
	s.vars.stale = false
	for _, name := range startupOrder {
		told, ok := s.vars.told[name]
		if !ok {
			if told, ok = s.vars.start[name]; !ok {
				told = varDefs[name].def
			}
		}
		if now := s.vars.get(name); now != told {
			s.vars.told[name] = now
			if err := w.ParameterStatus(varDefs[name].report, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// varUndo takes back one SET.
type varUndo struct {
	name, old  string
	had, local bool
}

// undoVars ends a transaction's settings: the local ones, and all if it did not commit.
func (s *Session) undoVars(undo []varUndo, committed bool) {
	s.vars.stale = s.vars.stale || len(undo) > 0
	for i := len(undo) - 1; i >= 0; i-- {
		u := undo[i]
		if committed && !u.local {
			continue
		}
		if u.had {
			s.vars.vals[u.name] = u.old
		} else {
			delete(s.vars.vals, u.name)
		}
		if d := varDefs[u.name]; d.apply != nil && !d.fixed {
			d.apply(s, s.vars.get(u.name)) // it was valid before
		}
	}
}
