package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// gauge reads a metric of a node.
func gauge(n *cluster.Node, name string) (float64, error) {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + n.HTTP + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 2 && strings.TrimPrefix(f[0], "cairn_") == name {
			return strconv.ParseFloat(f[1], 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", n.Name, name)
}

// leases is how many ranges the nodes lead together.
func leases(nodes []*cluster.Node) (sum float64, err error) {
	for _, n := range nodes {
		v, err := gauge(n, "leases")
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

// busiest is the node that leads the most ranges.
func busiest(c *cluster.Cluster) (n *cluster.Node, others []*cluster.Node, err error) {
	most := -1.0
	for _, o := range c.Nodes {
		v, err := gauge(o, "leases")
		if err != nil {
			return nil, nil, err
		}
		if v > most {
			n, most = o, v
		}
	}
	return n, c.Others(n), nil
}

// profile keeps a profile of a node.
func profile(n *cluster.Node, path, name string) {
	resp, err := http.Get("http://" + n.HTTP + "/debug/pprof/" + path)
	if err == nil {
		defer resp.Body.Close()
		var b []byte
		if b, err = io.ReadAll(resp.Body); err == nil {
			err = os.WriteFile(filepath.Join(*keep, name), b, 0o600)
		}
	}
	if err != nil {
		log.Print(err)
	}
}
