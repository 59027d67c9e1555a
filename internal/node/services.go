package node

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// clusterService serves joining, init and gossip by address.
type clusterService struct {
	rpcpb.UnimplementedClusterServer
	n *Node
}

var errStarting = status.Error(codes.Unavailable, "this node is starting, or waits for cairn init")

// Join implements rpcpb.ClusterServer.
func (s clusterService) Join(ctx context.Context, req *rpcpb.JoinRequest) (*rpcpb.JoinResponse, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	if err := s.admit(ctx, c, req); err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	resp := &rpcpb.JoinResponse{ClusterId: c.Ident.ClusterID[:]}
	if len(req.ClusterId) == 0 {
		id, err := newNodeID(ctx, c.DB)
		if err != nil {
			return nil, status.Error(codes.Unavailable, err.Error())
		}
		resp.NodeId = uint32(id)
		s.n.cfg.Log.Info("a node joins", "node", id)
	}
	now := c.Clock.Now()
	resp.Now = &rpcpb.Timestamp{WallNanos: now.WallTime, Logical: now.Logical}
	return resp, nil
}

// admit says in one line why a node may not join.
func (s clusterService) admit(ctx context.Context, c *Core, req *rpcpb.JoinRequest) error {
	if len(req.ClusterId) > 0 && string(req.ClusterId) != string(c.Ident.ClusterID[:]) {
		return errors.New("its store belongs to another cluster; start it with an empty store, or join its own cluster")
	}
	if err := c.admitMember(ctx, kvapi.NodeID(req.NodeId), req.RpcAddress); err != nil {
		return err
	}
	works := version.Range{Min: version.Number(req.VersionMin), Latest: version.Number(req.VersionLatest)}.Said()
	if err := works.Admit(c.Active()); err != nil {
		return err
	}
	if d := time.Duration(req.MaxOffsetNanos); d != s.n.cfg.MaxOffset {
		return errors.New("it runs with --max-offset " + d.String() + ", this cluster with " + s.n.cfg.MaxOffset.String())
	}
	if req.Now == nil {
		return nil
	}
	behind := time.Duration(c.Clock.PhysicalNow() - req.Now.WallNanos)
	if behind > s.n.cfg.MaxOffset+joinTimeout {
		return errors.New("its clock is " + behind.String() + " behind this node's; the maximum offset is " + s.n.cfg.MaxOffset.String())
	}
	return c.Clock.Update(hlc.ClockTimestamp{WallTime: req.Now.WallNanos, Logical: req.Now.Logical})
}

// Init implements rpcpb.ClusterServer.
func (s clusterService) Init(context.Context, *rpcpb.InitRequest) (*rpcpb.InitResponse, error) {
	id, err := s.n.found()
	if errors.Is(err, errInitialised) {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &rpcpb.InitResponse{ClusterId: id[:]}, nil
}

// Gossip implements rpcpb.ClusterServer.
func (s clusterService) Gossip(_ context.Context, m *rpcpb.GossipMessage) (*rpcpb.GossipMessage, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	out, err := c.Gossip.Answer(m)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	return out, nil
}

// adminService serves the command line.
type adminService struct {
	rpcpb.UnimplementedAdminServer
	n *Node
}

// Nodes implements rpcpb.AdminServer.
func (s adminService) Nodes(context.Context, *rpcpb.NodesRequest) (*rpcpb.NodesResponse, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	resp := &rpcpb.NodesResponse{ClusterVersion: uint32(c.Active())}
	for _, nd := range c.Gossip.Nodes() {
		as := c.liveNodes().node(&nd)
		resp.Nodes = append(resp.Nodes, &rpcpb.Node{
			NodeId: uint32(nd.NodeID), RpcAddress: nd.RPCAddress, SqlAddress: nd.SQLAddress, HttpAddress: nd.HTTPAddress,
			Version: nd.Version, StartedNanos: nd.StartedNanos, Live: nd.Live, Ranges: nd.Capacity.Ranges,
			Leases: nd.Capacity.Leases, DiskUsedBytes: nd.Capacity.DiskUsedBytes, DiskAvailableBytes: nd.Capacity.DiskAvailableBytes,
			DiskFull: nd.Capacity.DiskFull, Draining: nd.Draining, Locality: nd.Locality,
			Membership: as.Membership.String(), BatchesPerSecond: nd.Capacity.BatchesPerSecond,
			Dead: as.Liveness == allocator.Dead, WorksInVersions: nd.Versions.Said().String(),
		})
	}
	return resp, nil
}

// Ranges implements rpcpb.AdminServer.
func (s adminService) Ranges(ctx context.Context, _ *rpcpb.RangesRequest) (*rpcpb.RangesResponse, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	ranges, err := c.ClusterRanges(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	resp := &rpcpb.RangesResponse{}
	for _, r := range ranges {
		resp.Ranges = append(resp.Ranges, rangeToProto(r))
	}
	return resp, nil
}

func rangeToProto(r ClusterRange) *rpcpb.Range {
	p := &rpcpb.Range{RangeId: uint64(r.Desc.RangeID), StartKey: r.Desc.StartKey, EndKey: r.Desc.EndKey,
		Leaseholder: uint32(r.Lease.Holder.NodeID), Generation: uint64(r.Desc.Generation),
		LiveBytes: r.Stats.LiveBytes, LiveCount: r.Stats.LiveCount, GarbageBytes: r.Stats.GarbageBytes(), StartPretty: r.StartPretty, EndPretty: r.EndPretty,
		BatchesPerSecond: r.Rate}
	for _, rep := range r.Desc.Replicas {
		// A learner is not a replica that anybody may count on: with two voters
		// and a learner, the loss of one node is too much.
		if rep.Type.Votes() {
			p.Replicas = append(p.Replicas, uint32(rep.NodeID))
		}
	}
	return p
}

// SplitRange implements rpcpb.AdminServer.
func (s adminService) SplitRange(ctx context.Context, req *rpcpb.SplitRangeRequest) (*rpcpb.SplitRangeResponse, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	at := kvapi.Key(req.Key)
	if at.Less(keys.MetaMax) || !at.Less(keys.Max) {
		return nil, status.Error(codes.InvalidArgument, "ranges can be split at system and table keys only")
	}
	until := hlc.MaxTimestamp
	if req.StickyNanos > 0 {
		until = c.Clock.Now().Timestamp().AddNanos(req.StickyNanos)
	}
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminSplit, Key: at, StickyUntil: until})
	br, err := c.DB.Send(ctx, ba)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	// If a range began there already it was that one that answered, and there is no
	// left one to tell of.
	resp := &rpcpb.SplitRangeResponse{}
	if i := br.Responses[0].Info; i != nil && i.Desc.EndKey.Equal(at) {
		resp.LeftRangeId = uint64(i.Desc.RangeID)
	}
	br, err = c.DB.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.LeaseInfo, Key: at}))
	if err == nil && br.Responses[0].Info != nil {
		resp.RightRangeId = uint64(br.Responses[0].Info.Desc.RangeID)
	}
	return resp, nil // without them the split was made; only its description is missing
}

// MergeRanges implements rpcpb.AdminServer.
func (s adminService) MergeRanges(ctx context.Context, req *rpcpb.MergeRangesRequest) (*rpcpb.MergeRangesResponse, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	at := kvapi.Key(req.Key)
	descs, err := c.rangeDescriptors(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	for i := 1; i < len(descs); i++ {
		if !descs[i].StartKey.Equal(at) {
			continue
		}
		left := descs[i-1]
		ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminMerge, Key: left.StartKey, Value: at})
		if _, err := c.DB.Send(ctx, ba); err != nil {
			return nil, status.Error(codes.FailedPrecondition, err.Error())
		}
		return &rpcpb.MergeRangesResponse{RangeId: uint64(left.RangeID), MergedRangeId: uint64(descs[i].RangeID)}, nil
	}
	return nil, status.Errorf(codes.NotFound, "no range begins at %s", prettyKey(at))
}

// CheckRange implements rpcpb.AdminServer.
func (s adminService) CheckRange(ctx context.Context, req *rpcpb.CheckRangeRequest) (*rpcpb.CheckRangeResponse, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	rec, err := c.CheckRange(ctx, kvapi.RangeID(req.RangeId))
	switch {
	case errors.Is(err, errNoSuchRange):
		return nil, status.Error(codes.NotFound, err.Error())
	case err != nil:
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &rpcpb.CheckRangeResponse{RangeId: uint64(rec.RangeID), Outcome: string(rec.Outcome), Detail: rec.Detail}, nil
}

// TransferLease implements rpcpb.AdminServer.
func (s adminService) TransferLease(ctx context.Context, req *rpcpb.TransferLeaseRequest) (*rpcpb.TransferLeaseResponse, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	key, to := kvapi.Key(req.Key), kvapi.NodeID(req.NodeId)
	descs, err := c.rangeDescriptors(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	for i := range descs {
		// Who has no vote cannot be waited for.
		d := &descs[i]
		if r, ok := d.Replica(to); d.ContainsKey(key) && (!ok || !r.Type.Votes()) {
			return nil, status.Errorf(codes.FailedPrecondition, "node %d has no replica of range %d", to, d.RangeID)
		}
	}
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: key, Target: to})
	resp, err := c.DB.Send(ctx, ba)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	return &rpcpb.TransferLeaseResponse{RangeId: uint64(resp.Responses[0].Info.Desc.RangeID)}, nil
}

// Decommission implements rpcpb.AdminServer.
func (s adminService) Decommission(ctx context.Context, req *rpcpb.DecommissionRequest) (*rpcpb.DecommissionResponse, error) {
	c := s.n.core.Load()
	if c == nil {
		return nil, errStarting
	}
	id := kvapi.NodeID(req.NodeId)
	var err error
	switch req.Do {
	case rpcpb.DecommissionRequest_BEGIN:
		err = c.SetMembership(ctx, id, allocator.Decommissioning)
	case rpcpb.DecommissionRequest_CANCEL:
		err = c.SetMembership(ctx, id, allocator.Member)
	}
	var d *departure
	if err == nil {
		d, err = c.departure(ctx, id)
	}
	var no *membershipError
	switch {
	case errors.As(err, &no):
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	case err != nil:
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return d.proto(), nil
}

// Drain implements rpcpb.AdminServer.
func (s adminService) Drain(ctx context.Context, req *rpcpb.DrainRequest) (*rpcpb.DrainResponse, error) {
	if s.n.core.Load() == nil {
		return nil, errStarting
	}
	left := s.n.Drain(ctx)
	if req.Shutdown {
		s.n.end("it was told to end by cairn node drain")
	}
	return &rpcpb.DrainResponse{LeasesLeft: int64(left)}, nil
}
