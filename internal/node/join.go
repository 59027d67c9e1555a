package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/store"
)

const (
	joinInterval = 250 * time.Millisecond
	joinTimeout  = 5 * time.Second
)

// identify returns who this node is: from its store, by founding a cluster
// when it is told to, or by joining one.
func (n *Node) identify(ctx context.Context) error {
	ident, err := store.ReadIdent(n.engine)
	switch {
	case err == nil:
		return n.verifyMembership(ctx, ident)
	case !errors.Is(err, store.ErrNotBootstrapped):
		return fmt.Errorf("read the store's identity: %w", err)
	}
	n.isNew = true
	if n.cfg.SingleNode {
		_, err := n.found()
		return err
	}
	n.cfg.Log.Info("waiting to join a cluster, or for cairn init", "join", n.cfg.Join)
	return n.join(ctx)
}

// found makes this node the first of a new cluster. It has an effect once.
func (n *Node) found() (kvapi.ClusterID, error) {
	n.foundMu.Lock()
	defer n.foundMu.Unlock()
	if _, err := store.ReadIdent(n.engine); err == nil {
		return kvapi.ClusterID{}, errInitialised
	}
	id := store.Ident{ClusterID: kvapi.ClusterID(uuid.New()), NodeID: 1}
	if err := store.Bootstrap(n.engine, n.clock, id); err != nil {
		return kvapi.ClusterID{}, fmt.Errorf("found a cluster: %w", err)
	}
	close(n.founded)
	return id.ClusterID, nil
}

var errInitialised = errors.New("the cluster has already been initialised")

// join asks the configured addresses for an identity until one answers or
// this node is told to found the cluster.
func (n *Node) join(ctx context.Context) error {
	for {
		for _, addr := range n.cfg.Join {
			if addr == n.rpcAddr {
				continue
			}
			ident, err := n.askToJoin(ctx, addr, store.Ident{})
			if status.Code(err) == codes.FailedPrecondition {
				return fmt.Errorf("%s refused this node: %s", addr, status.Convert(err).Message())
			}
			if err != nil {
				n.cfg.Log.Debug("join", "address", addr, "err", err)
				continue
			}
			n.foundMu.Lock()
			defer n.foundMu.Unlock()
			return store.WriteIdent(n.engine, ident)
		}
		select {
		case <-n.founded:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(joinInterval):
		}
	}
}

// verifyMembership asks once whether the nodes at the configured addresses
// are of this node's cluster. No answer is no objection.
func (n *Node) verifyMembership(ctx context.Context, ident store.Ident) error {
	for _, addr := range n.cfg.Join {
		if addr == n.rpcAddr {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		_, err := n.askToJoin(ctx, addr, ident)
		cancel()
		if status.Code(err) == codes.FailedPrecondition {
			return fmt.Errorf("%s refused this node: %s", addr, status.Convert(err).Message())
		}
		if err == nil {
			return nil
		}
	}
	return nil
}

func (n *Node) askToJoin(ctx context.Context, addr string, member store.Ident) (store.Ident, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	conn, err := rpc.Dial(addr, n.cfg.NodeTLS)
	if err != nil {
		return store.Ident{}, err
	}
	defer conn.Close()
	now := n.clock.Now()
	req := &rpcpb.JoinRequest{Version: version.Build(), MaxOffsetNanos: int64(n.cfg.MaxOffset),
		VersionMin: uint32(n.cfg.Versions.Min), VersionLatest: uint32(n.cfg.Versions.Latest),
		Now: &rpcpb.Timestamp{WallNanos: now.WallTime, Logical: now.Logical}}
	if !member.ClusterID.IsZero() {
		req.ClusterId, req.NodeId, req.RpcAddress = member.ClusterID[:], uint32(member.NodeID), n.rpcAddr
	}
	resp, err := rpcpb.NewClusterClient(conn).Join(ctx, req)
	if err != nil {
		return store.Ident{}, err
	}
	if resp.Now != nil {
		if err := n.clock.Update(hlc.ClockTimestamp{WallTime: resp.Now.WallNanos, Logical: resp.Now.Logical}); err != nil {
			return store.Ident{}, status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	var ident store.Ident
	if len(resp.ClusterId) != len(ident.ClusterID) {
		return ident, errors.New("malformed cluster id")
	}
	copy(ident.ClusterID[:], resp.ClusterId)
	ident.NodeID = kvapi.NodeID(resp.NodeId)
	return ident, nil
}

// exchange is gossip by address (gossip.Config.Exchange).
func (n *Node) exchange(ctx context.Context, addr string, m *rpcpb.GossipMessage) (*rpcpb.GossipMessage, error) {
	if addr == n.rpcAddr {
		return nil, errors.New("that is this node")
	}
	conn, err := rpc.Dial(addr, n.cfg.NodeTLS)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return rpcpb.NewClusterClient(conn).Gossip(ctx, m)
}

// openEngine opens the store, or says in one line why it cannot be opened.
func openEngine(cfg *Config, fatal func(error)) (*storage.Engine, error) {
	eng, err := storage.Open(storage.Options{FS: cfg.FS, Dir: cfg.StoreDir, CacheBytes: cfg.CacheBytes, Ballast: cfg.Ballast, Logger: cfg.Log, OnFatal: fatal})
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", cfg.StoreDir, err)
	}
	return eng, nil
}
