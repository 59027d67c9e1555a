package store

import (
	"testing"
)

func TestOneStorePutGet(t *testing.T) {
	c := newCluster(t, 1, TestingKnobs{DisableReplicateLoop: true})
	if err := c.put("a", "1"); err != nil {
		t.Fatal(err)
	}
	if v, err := c.get("a"); err != nil || v != "1" {
		t.Fatalf("%q %v", v, err)
	}
	c.checkConsistency()
}
