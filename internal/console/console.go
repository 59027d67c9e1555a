package console

import (
	"context"
	_ "embed"
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Status is what the page shows.
type Status struct {
	ClusterID string  `json:"cluster_id"`
	NodeID    uint32  `json:"node_id"`
	Version   string  `json:"version"`
	UpSeconds float64 `json:"up_seconds"`
	Nodes     []Node  `json:"nodes"`
	Ranges    []Range `json:"ranges"`
	// Statements are those of all nodes that took the most time, with $n for constants.
	Statements []Statement `json:"statements"`
	// Counters are this node's metrics by name; the page shows what they grow by.
	Counters map[string]float64 `json:"counters"`
	// Problem says why the ranges could not be listed.
	Problem string `json:"problem,omitempty"`
}

// Node is a row of the page.
type Node struct {
	ID            uint32  `json:"id"`
	Live          bool    `json:"live"`
	Draining      bool    `json:"draining"`
	SQL           string  `json:"sql"`
	RPC           string  `json:"rpc"`
	HTTP          string  `json:"http"`
	Version       string  `json:"version"`
	UpSeconds     float64 `json:"up_seconds"`
	Ranges        int64   `json:"ranges"`
	Leases        int64   `json:"leases"`
	DiskUsed      uint64  `json:"disk_used_bytes"`
	DiskAvailable uint64  `json:"disk_available_bytes"`
	// DiskFull says that the node takes no new data.
	DiskFull bool `json:"disk_full"`
}

// Range is a row of the page.
type Range struct {
	ID    uint64 `json:"id"`
	Start string `json:"start"`
	End   string `json:"end"`
	// Table is the table that the range begins in, if there is one.
	Table       string   `json:"table,omitempty"`
	Replicas    []uint32 `json:"replicas"`
	Leaseholder uint32   `json:"leaseholder"`
	Generation  uint64   `json:"generation"`
	Bytes       int64    `json:"bytes"`
	Rows        int64    `json:"rows"`
	// OldBytes are of versions that are not the newest, and deletions.
	OldBytes int64 `json:"old_bytes"`
	// Rate is how many batches a second the range has been sent lately.
	Rate float64 `json:"batches_per_second"`
}

// Statement is a row of the page. Times are milliseconds.
type Statement struct {
	Text  string  `json:"text"`
	Calls int64   `json:"calls"`
	Rows  int64   `json:"rows"`
	Total float64 `json:"total_ms"`
	Mean  float64 `json:"mean_ms"`
	Max   float64 `json:"max_ms"`
}

// Counter is a metric that only grows, or with Gauge one that moves.
type Counter struct {
	Name, Help string
	Gauge      bool
	Value      func() float64
}

// Source is where the console gets what it shows.
type Source interface {
	Status(ctx context.Context) Status
	// Ready reports whether SQL clients are served, and what else they should
	// know.
	Ready() (ready bool, remark string)
	Counters() []Counter
}

// statusTimeout bounds what a page view may cost.
const statusTimeout = 5 * time.Second

//go:embed page.html
var page []byte

// New returns the handler of the HTTP port.
func New(src Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
		defer cancel()
		w.Header().Set("Content-Type", "application/json")
		s := src.Status(ctx)
		s.Counters = map[string]float64{}
		for _, c := range src.Counters() {
			s.Counters[c.Name] = c.Value()
		}
		_ = json.NewEncoder(w).Encode(s)
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		ready, remark := src.Ready()
		if remark != "" {
			remark = "; " + remark
		}
		if !ready {
			http.Error(w, "not ready"+remark, http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready" + remark + "\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry(src), promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", loopbackOnly(pprof.Index))
	mux.HandleFunc("/debug/pprof/profile", loopbackOnly(pprof.Profile))
	mux.HandleFunc("/debug/pprof/trace", loopbackOnly(pprof.Trace))
	return mux
}

func registry(src Source) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, c := range src.Counters() {
		opts := prometheus.Opts{Namespace: "cairn", Name: c.Name, Help: c.Help}
		if c.Gauge {
			reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts), c.Value))
		} else {
			reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts(opts), c.Value))
		}
	}
	return reg
}

// loopbackOnly keeps profiles, which show keys and statements, on the machine.
func loopbackOnly(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			http.Error(w, "profiles are served to loopback clients only", http.StatusForbidden)
			return
		}
		h(w, r)
	}
}
