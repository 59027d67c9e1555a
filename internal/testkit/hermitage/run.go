package hermitage

import (
	"context"
	"fmt"
	"strings"
)

// Session runs statements. Exec returns rows, if any, as "a|b,c|d", else the
// command tag; a failure as "ERROR <SQLSTATE>" with failed set.
type Session interface {
	Exec(ctx context.Context, statement string) (result string, failed bool)
}

// setUp makes the table that every script works on.
var setUp = []string{
	"create table if not exists test (id int primary key, value int)",
	"delete from test",
	"insert into test (id, value) values (1, 10), (2, 20)",
}

// player is a session at work.
type player struct {
	s      Session
	failed bool
	ended  bool
	// pending is the answer to come of a statement that may wait.
	pending chan answer
}

type answer struct {
	text   string
	failed bool
}

// Run plays a script at a level. open(n) returns session n.
func Run(ctx context.Context, open func(n int) Session, script, level string) string {
	admin := open(0)
	var out []string
	for _, q := range setUp {
		if text, failed := admin.Exec(ctx, q); failed {
			return q + ": " + text
		}
	}
	players := map[byte]*player{}
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		who, _, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if players[who[0]] == nil {
			p := &player{s: open(int(who[0] - '0'))}
			players[who[0]] = p
			if text, failed := p.s.Exec(ctx, "begin isolation level "+level); failed {
				return text
			}
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		who, statement, _ := strings.Cut(strings.TrimSpace(line), ": ")
		out = append(out, players[who[0]].step(ctx, who, statement)...)
	}
	for n := byte('0'); n <= '9'; n++ {
		if p := players[n]; p != nil {
			out = append(out, p.await(ctx, n)...)
			if !p.failed && !p.ended {
				p.s.Exec(ctx, "rollback")
			}
		}
	}
	text, _ := admin.Exec(ctx, "select value from test order by id")
	return strings.Join(append(out, "= "+text), "; ")
}

func (p *player) step(ctx context.Context, who, statement string) []string {
	out := p.await(ctx, who[0])
	if p.failed {
		return out
	}
	p.ended = p.ended || statement == "commit" || statement == "rollback"
	p.pending = make(chan answer, 1)
	go func(to chan answer) {
		text, failed := p.s.Exec(ctx, statement)
		to <- answer{text, failed}
	}(p.pending)
	if strings.HasSuffix(who, "&") {
		return out
	}
	return append(out, p.await(ctx, who[0])...)
}

// await takes the answer that is due.
func (p *player) await(ctx context.Context, name byte) []string {
	if p.pending == nil {
		return nil
	}
	a := <-p.pending
	p.pending = nil
	if a.failed {
		p.failed = true
		p.s.Exec(ctx, "rollback")
	}
	return []string{fmt.Sprintf("%c %s", name, a.text)}
}
