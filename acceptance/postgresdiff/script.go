package postgresdiff

import (
	"fmt"
	"os"
	"strings"
)

// stmt is one statement of a script with what its comments say about it.
//
// The language: statements end with a line that ends in ';'. Several on one
// line are sent as one query string. Comment lines directly above a statement
// may be
//
//	-- differs FIELD FIELD …: REASON    the servers may differ in these fields,
//	                                    or in "everything"
//	-- simple only: REASON              not run over the extended protocol
//	-- as NAME                          run by another session of that name
//	-- params a | b | \N                values of $1, $2, … (extended only)
//
// COPY … FROM STDIN takes the lines up to "\." as its data; a line that begins
// with "hex:" is bytes.
type stmt struct {
	line       int
	text       string
	data       []byte
	copyIn     bool
	params     []string
	hasParams  bool
	simpleOnly bool
	session    string
	differs    []string
	reason     string
}

func parseScript(file string) ([]stmt, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(text), "\n")
	var out []stmt
	cur := stmt{}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if cur.text == "" && (line == "" || strings.HasPrefix(line, "--")) {
			if err := cur.comment(line); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
			}
			continue
		}
		if cur.text == "" {
			cur.line = i + 1
		} else {
			cur.text += "\n"
		}
		cur.text += line
		if !strings.HasSuffix(line, ";") {
			continue
		}
		cur.text = strings.TrimSuffix(cur.text, ";")
		if u := strings.ToUpper(cur.text); strings.HasPrefix(u, "COPY") && strings.Contains(u, "FROM STDIN") {
			cur.copyIn = true
			for i++; i < len(lines) && lines[i] != `\.`; i++ {
				cur.addData(lines[i])
			}
		}
		out = append(out, cur)
		cur = stmt{}
	}
	if cur.text != "" {
		return nil, fmt.Errorf("%s:%d: a statement without an end", file, cur.line)
	}
	return out, nil
}

func (s *stmt) addData(line string) {
	if hex, ok := strings.CutPrefix(line, "hex:"); ok {
		hex = strings.ReplaceAll(hex, " ", "")
		for i := 0; i+1 < len(hex); i += 2 {
			var b byte
			fmt.Sscanf(hex[i:i+2], "%02x", &b)
			s.data = append(s.data, b)
		}
		return
	}
	s.data = append(s.data, line+"\n"...)
}

func (s *stmt) comment(line string) error {
	word, rest, _ := strings.Cut(strings.TrimPrefix(line, "-- "), " ")
	switch {
	case strings.HasPrefix(line, "-- differs "):
		fields, reason, ok := strings.Cut(rest, ": ")
		if !ok || reason == "" {
			return fmt.Errorf("a difference without a reason")
		}
		s.differs, s.reason = strings.Fields(fields), reason
	case strings.HasPrefix(line, "-- simple only: "):
		s.simpleOnly = true
	case word == "as" && line != "":
		s.session = rest
	case word == "params":
		s.hasParams = true
		for _, p := range strings.Split(rest, "|") {
			s.params = append(s.params, strings.TrimSpace(p))
		}
	case line == "":
		*s = stmt{}
	}
	return nil
}

// ordered says whether the order of the rows is part of the answer.
func (s *stmt) ordered() bool {
	u := strings.ToUpper(s.text)
	return strings.Contains(u, "ORDER BY") || strings.HasPrefix(u, "SHOW") || strings.HasPrefix(u, "EXPLAIN") || strings.HasPrefix(u, "VALUES")
}
