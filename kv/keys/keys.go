package keys

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Key is a byte string of the one ordered keyspace. See doc.go for its map.
type Key = kvapi.Key

// Prefixes of the keyspace, in order. Local keys sort before meta keys and
// are addressed by what they carry, see Addr.
const (
	// localPrefix starts every local key.
	localPrefix = "\x01"
	// localRangeIDPrefix + range id (8 bytes, big endian) + 'r' or 'u' +
	// suffix: state of a replica, replicated ('r') or its own ('u').
	localRangeIDPrefix = localPrefix + "i"
	// localRangePrefix + escaped user key + suffix: replicated state that
	// belongs to a user key and moves with it when a range splits.
	localRangePrefix = localPrefix + "k"
	// localStorePrefix + suffix: the node's own state, never replicated.
	localStorePrefix = localPrefix + "s"
	// localLockTablePrefix + escaped user key: the lock table.
	localLockTablePrefix = localPrefix + "z"
)

var (
	// Min is the smallest key a range may start with; it includes meta1.
	Min = Key("\x02")
	// Meta1Prefix and Meta2Prefix start the addressing records.
	Meta1Prefix = Key("\x02")
	Meta2Prefix = Key("\x03")
	// MetaMax ends the addressing records.
	MetaMax = Key("\x04")
	// SystemPrefix starts cluster id, id generators, settings, node records.
	SystemPrefix = Key("\x04")
	// SystemMax ends the system keys.
	SystemMax = Key("\x05")
	// TablePrefix starts the tables: TablePrefix + table id (4 bytes, big
	// endian) + index id (4 bytes, big endian) + column encodings.
	TablePrefix = Key("\x10")
	// TableMax ends the tables.
	TableMax = Key("\x11")
	// Max ends the keyspace.
	Max = Key("\xff\xff")
)

// System keys.
var (
	ClusterIDKey        = sys("cluster-id")
	NodeIDGeneratorKey  = sys("idgen/node")
	RangeIDGeneratorKey = sys("idgen/range")
	DescIDGeneratorKey  = sys("idgen/desc")
	// DescriptorPrefix + descriptor id (4 bytes, big endian) holds the
	// encoded descriptor of a database, schema or table.
	DescriptorPrefix = sys("desc/")
	// NamespacePrefix + parent descriptor id (4 bytes) + name holds a
	// descriptor id (4 bytes).
	NamespacePrefix = sys("name/")
	// SettingPrefix + name holds a cluster setting.
	SettingPrefix = sys("setting/")
	// NodePrefix + node id (4 bytes) holds a node record.
	NodePrefix = sys("node/")
	// VersionPrefix + 'a' holds the cluster's version (a uvarint), + 'n' + node id
	// (4 bytes) the versions in which that node works.
	VersionPrefix = sys("version/")
	// UserPrefix + role name holds a role.
	UserPrefix = sys("user/")
	// SequencePrefix + descriptor id (4 bytes) holds a sequence's value.
	SequencePrefix = sys("seq/")
	// AdvisoryPrefix + database id (4 bytes) + kind (1 byte) + number (8
	// bytes) is locked by whoever holds that advisory lock. It has no value
	// but, under the kind with its high bit set, the last fencing token.
	AdvisoryPrefix = sys("advisory/")
	// OutcomePrefix + a hash (32 bytes) holds what became of the transaction
	// with an idempotency key.
	OutcomePrefix = sys("outcome/")
	// RangeLogPrefix + a clock's reading (8 and 4 bytes, big endian) + range id
	// (8 bytes) holds a range event.
	RangeLogPrefix = sys("rangelog/")
	// ProtectionPrefix + a random id (16 bytes) holds a record that keeps old
	// versions from being collected.
	ProtectionPrefix = sys("protect/")
	// StatsPrefix + descriptor id (4 bytes) holds what is known of a table's
	// data.
	StatsPrefix = sys("stats/")
	// IntegrityPrefix + 'r' + range id (8 bytes, big endian), or + 't' + table id
	// (4 bytes), holds the result of the last check of a range or a table.
	IntegrityPrefix = sys("integrity/")
)

func Stats(table uint32) Key { return binary.BigEndian.AppendUint32(StatsPrefix.Clone(), table) }

func DecodeStats(k Key) (table uint32, ok bool) {
	if !bytes.HasPrefix(k, StatsPrefix) || len(k) != len(StatsPrefix)+4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(k[len(StatsPrefix):]), true
}

// RangeIntegrity and TableIntegrity are the keys of results of checks.
func RangeIntegrity(id kvapi.RangeID) Key {
	return binary.BigEndian.AppendUint64(append(IntegrityPrefix.Clone(), 'r'), uint64(id))
}

// TableIntegrity: see RangeIntegrity.
func TableIntegrity(id uint32) Key {
	return binary.BigEndian.AppendUint32(append(IntegrityPrefix.Clone(), 't'), id)
}

// RangeLog is the key of what happened to a range at a time. Entries sort by
// time.
func RangeLog(at hlc.Timestamp, id kvapi.RangeID) Key {
	b := binary.BigEndian.AppendUint64(RangeLogPrefix.Clone(), uint64(at.WallTime))
	b = binary.BigEndian.AppendUint32(b, uint32(at.Logical))
	return binary.BigEndian.AppendUint64(b, uint64(id))
}

// ClusterVersion is the key of the cluster's version.
func ClusterVersion() Key { return append(VersionPrefix.Clone(), 'a') }

// NodeVersions is the key of the versions in which a node works.
func NodeVersions(id kvapi.NodeID) Key {
	return binary.BigEndian.AppendUint32(append(VersionPrefix.Clone(), 'n'), uint32(id))
}

// DecodeNodeVersions is the opposite.
func DecodeNodeVersions(k Key) (id kvapi.NodeID, ok bool) {
	head := len(VersionPrefix) + 1
	if !bytes.HasPrefix(k, VersionPrefix) || len(k) != head+4 || k[head-1] != 'n' {
		return 0, false
	}
	return kvapi.NodeID(binary.BigEndian.Uint32(k[head:])), true
}

// Node is the key of a node's record.
func Node(id kvapi.NodeID) Key { return binary.BigEndian.AppendUint32(NodePrefix.Clone(), uint32(id)) }

// Advisory is the key of an advisory lock, AdvisoryToken of its fencing token.
func Advisory(database uint32, kind byte, number uint64) Key {
	b := binary.BigEndian.AppendUint32(AdvisoryPrefix.Clone(), database)
	return binary.BigEndian.AppendUint64(append(b, kind), number)
}

// AdvisoryToken: see Advisory.
func AdvisoryToken(database uint32, kind byte, number uint64) Key {
	return Advisory(database, kind|0x80, number)
}

func sys(s string) Key { return append(SystemPrefix.Clone(), s...) }

// appendEscaped appends k so that the result is prefix-free and ordered as k:
// 0x00 becomes 0x00 0xff, and 0x00 0x01 ends it.
func appendEscaped(b []byte, k []byte) []byte {
	for {
		i := bytes.IndexByte(k, 0)
		if i < 0 {
			break
		}
		b = append(b, k[:i]...)
		b = append(b, 0x00, 0xff)
		k = k[i+1:]
	}
	b = append(b, k...)
	return append(b, 0x00, 0x01)
}

// cutEscaped is the inverse of appendEscaped: the key and what follows it.
func cutEscaped(b []byte) (k, rest []byte, err error) {
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 || i+1 >= len(b) {
			return nil, nil, fmt.Errorf("keys: escaped key has no end: %q", b)
		}
		k = append(k, b[:i]...)
		switch b[i+1] {
		case 0x01:
			return k, b[i+2:], nil
		case 0xff:
			k = append(k, 0)
			b = b[i+2:]
		default:
			return nil, nil, fmt.Errorf("keys: bad escape in %q", b)
		}
	}
}

// RangeIDReplicatedPrefix starts the replicated state of a range that is
// addressed by its id: applied state, GC threshold, lease.
func RangeIDReplicatedPrefix(id kvapi.RangeID) Key { return rangeID(id, 'r') }

// RangeIDUnreplicatedPrefix starts a replica's own state: log, hard state,
// truncated state, replica id, tombstone.
func RangeIDUnreplicatedPrefix(id kvapi.RangeID) Key { return rangeID(id, 'u') }

// RangeIDPrefix starts both.
func RangeIDPrefix(id kvapi.RangeID) Key { return rangeID(id, 0)[:len(localRangeIDPrefix)+8] }

func rangeID(id kvapi.RangeID, kind byte) Key {
	b := make([]byte, 0, len(localRangeIDPrefix)+16)
	b = append(b, localRangeIDPrefix...)
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	return append(b, kind)
}

// Suffixes of range-id local keys.
var (
	suffixAppliedState   = []byte("applied")   // replicated
	suffixLease          = []byte("lease")     // replicated
	suffixGCThreshold    = []byte("gc")        // replicated
	suffixHardState      = []byte("hard")      // unreplicated
	suffixTruncatedState = []byte("truncated") // unreplicated
	suffixReplicaID      = []byte("replicaid") // unreplicated
	suffixTombstone      = []byte("tombstone") // unreplicated
	suffixLog            = []byte("log")       // unreplicated, + index
	suffixQuarantine     = []byte("bad")       // unreplicated
)

// AppliedState holds applied index, term, lease sequence and statistics.
func AppliedState(id kvapi.RangeID) Key {
	return append(RangeIDReplicatedPrefix(id), suffixAppliedState...)
}

// Lease holds the range's current lease.
func Lease(id kvapi.RangeID) Key { return append(RangeIDReplicatedPrefix(id), suffixLease...) }

// GCThreshold holds the timestamp below which versions may be gone.
func GCThreshold(id kvapi.RangeID) Key {
	return append(RangeIDReplicatedPrefix(id), suffixGCThreshold...)
}

// HardState holds Raft's term, vote and commit.
func HardState(id kvapi.RangeID) Key {
	return append(RangeIDUnreplicatedPrefix(id), suffixHardState...)
}

// TruncatedState holds index and term of the last truncated log entry.
func TruncatedState(id kvapi.RangeID) Key {
	return append(RangeIDUnreplicatedPrefix(id), suffixTruncatedState...)
}

// ReplicaID holds the id of the replica this store has of the range.
func ReplicaID(id kvapi.RangeID) Key {
	return append(RangeIDUnreplicatedPrefix(id), suffixReplicaID...)
}

// Tombstone holds the next replica id below which no replica of the range may
// be created here.
func Tombstone(id kvapi.RangeID) Key {
	return append(RangeIDUnreplicatedPrefix(id), suffixTombstone...)
}

// Quarantine holds why this store's replica of the range must not be used.
func Quarantine(id kvapi.RangeID) Key {
	return append(RangeIDUnreplicatedPrefix(id), suffixQuarantine...)
}

// LogPrefix starts the Raft log of a range.
func LogPrefix(id kvapi.RangeID) Key { return append(RangeIDUnreplicatedPrefix(id), suffixLog...) }

// LogEntry holds one Raft log entry; entries sort by index.
func LogEntry(id kvapi.RangeID, index kvapi.LogIndex) Key {
	return Key(binary.BigEndian.AppendUint64(LogPrefix(id), uint64(index)))
}

// DecodeRangeID returns the range id of a range-id local key.
func DecodeRangeID(k Key) (kvapi.RangeID, bool) {
	if !bytes.HasPrefix(k, []byte(localRangeIDPrefix)) || len(k) < len(localRangeIDPrefix)+8 {
		return 0, false
	}
	return kvapi.RangeID(binary.BigEndian.Uint64(k[len(localRangeIDPrefix):])), true
}

// AllRangeIDs returns the span of every range-id local key.
func AllRangeIDs() (start, end Key) {
	return Key(localRangeIDPrefix), Key(localRangeIDPrefix).PrefixEnd()
}

// Suffixes of range-local keys.
var (
	suffixRangeDescriptor = []byte("desc")
	suffixTxnRecord       = []byte("txn-")
)

func rangeLocal(k Key, suffix []byte) Key {
	b := make([]byte, 0, len(localRangePrefix)+len(k)+len(suffix)+18)
	b = append(b, localRangePrefix...)
	b = appendEscaped(b, k)
	return append(b, suffix...)
}

// RangeDescriptor holds the descriptor of the range that starts at start.
func RangeDescriptor(start Key) Key { return rangeLocal(start, suffixRangeDescriptor) }

// TxnRecord holds the record of the transaction with this anchor key and id.
func TxnRecord(anchor Key, id kvapi.TxnID) Key {
	return append(rangeLocal(anchor, suffixTxnRecord), id[:]...)
}

// IsTxnRecord reports whether k is the key of a transaction record.
func IsTxnRecord(k Key) bool {
	if !bytes.HasPrefix(k, []byte(localRangePrefix)) {
		return false
	}
	_, rest, err := cutEscaped(k[len(localRangePrefix):])
	return err == nil && bytes.HasPrefix(rest, suffixTxnRecord)
}

// RangeLocalSpan returns the span of the range-local keys of [start, end).
func RangeLocalSpan(start, end Key) (Key, Key) {
	return rangeLocalBound(start), rangeLocalBound(end)
}

// rangeLocalBound sorts before every range-local key of k and after those of
// every smaller user key.
func rangeLocalBound(k Key) Key {
	return append(Key(localRangePrefix), appendEscaped(nil, k)...)
}

// LockTable returns the lock-table key of k. k may itself be local.
func LockTable(k Key) Key {
	return AppendLockTable(make([]byte, 0, len(localLockTablePrefix)+len(k)+4), k)
}

// AppendLockTable appends the lock-table key of k to b.
func AppendLockTable(b []byte, k Key) Key {
	b = append(b, localLockTablePrefix...)
	return appendEscaped(b, k)
}

// LockTableSpan returns the lock-table span of the user keys [start, end).
func LockTableSpan(start, end Key) (Key, Key) { return LockTable(start), LockTable(end) }

// DecodeLockTable returns the user key of a lock-table key.
func DecodeLockTable(k Key) (Key, error) {
	if !bytes.HasPrefix(k, []byte(localLockTablePrefix)) {
		return nil, fmt.Errorf("keys: %q is no lock-table key", k)
	}
	user, rest, err := cutEscaped(k[len(localLockTablePrefix):])
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("keys: %q has bytes after its lock-table key", k)
	}
	return user, err
}

// Store-local keys: the node's own state.
var (
	StoreIdent      = Key(localStorePrefix + "ident")
	StoreClockBound = Key(localStorePrefix + "clock-bound")
	StoreGossip     = Key(localStorePrefix + "gossip")
	// StoreVersion holds the cluster's version that the node has last used (a
	// uvarint).
	StoreVersion  = Key(localStorePrefix + "version")
	StoreLiveness = Key(localStorePrefix + "liveness")
)

// IsLocal reports whether k is a local key.
func IsLocal(k Key) bool { return len(k) > 0 && k[0] == localPrefix[0] }

// Addr returns the user key by which k is routed: k itself, or for a
// range-local key (descriptor, transaction record) the key it belongs to.
// Client and server use this one function, so that a transaction record and
// its anchor are always in the same range (FACTS: "key addressing").
// Range-id local and store-local keys have no address.
func Addr(k Key) (Key, error) {
	if !IsLocal(k) {
		return k, nil
	}
	switch {
	case bytes.HasPrefix(k, []byte(localRangePrefix)):
		user, _, err := cutEscaped(k[len(localRangePrefix):])
		return user, err
	case bytes.HasPrefix(k, []byte(localLockTablePrefix)):
		return DecodeLockTable(k)
	}
	return nil, fmt.Errorf("keys: local key %q has no address", k)
}

// RangeMetaKey returns the addressing record's key for a range that ends at
// end: records are keyed by END key, so that the record of the range holding
// k is the first one with a key > RangeMetaKey(k). Meta2 addresses system and
// table keys, meta1 addresses meta2; meta1 itself is addressed by gossip.
//
// The first range, [Min, MetaMax), holds all addressing records and does not
// split; so every record but its own is in meta2.
func RangeMetaKey(end Key) Key {
	if bytes.Compare(end, MetaMax) <= 0 {
		return append(Meta1Prefix.Clone(), end...)
	}
	return append(Meta2Prefix.Clone(), end...)
}

// Table returns the prefix of a table's keys.
func Table(id uint32) Key {
	return Key(binary.BigEndian.AppendUint32(TablePrefix.Clone(), id))
}

// Index returns the prefix of an index's keys.
func Index(table, index uint32) Key {
	return Key(binary.BigEndian.AppendUint32(Table(table), index))
}
