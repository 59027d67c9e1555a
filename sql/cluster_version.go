package sql

import "strconv"

const (
	// clusterVersion shows the cluster's version as this node knows it (internal/version).
	clusterVersion = "cairn.cluster_version"
	// HoldVersionSetting keeps the version where it is while nodes move to another build, so that
	// the way back stays open. It is the cluster's alone: the node that raises the version reads it
	// where ALTER SYSTEM has put it.
	HoldVersionSetting = "cairn.hold_cluster_version"
)

// plpgsqlVersion is the cluster version in which every node runs functions in PL/pgSQL (version.V3).
const plpgsqlVersion = 3

// knows says whether every node of the cluster works in a version. A server that is told of none is alone.
func (s *Server) knows(version uint32) bool {
	return s.cfg.ClusterVersion == nil || s.cfg.ClusterVersion() >= version
}

// clusterVersion is what SHOW cairn.cluster_version prints.
func (s *Server) clusterVersion() string {
	if s.cfg.ClusterVersion == nil {
		return varDefs[clusterVersion].def
	}
	return strconv.FormatUint(uint64(s.cfg.ClusterVersion()), 10)
}
