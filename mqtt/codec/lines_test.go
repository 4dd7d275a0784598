package codec_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"edged/mqtt/codec"
)

func TestLines(t *testing.T) {
	var l codec.Lines
	for _, test := range []struct{ line, want, fault string }{
		{"  {\"a\":1}\r\n", `{"a":1}`, ""},
		{"", "", ""},
		{" \t", "", ""},
		{`{"a":1`, "", "line 4: "},
		{`[1]`, "", "line 5: "},
		{`{"a":1} {"a":2}`, "", "line 6: "},
		{"{\"a\":\"\xff\"}", "", "line 7: "},
		{`{"a":{"b":[1,2]}}`, `{"a":{"b":[1,2]}}`, ""},
	} {
		got, err := l.Append([]byte("x"), []byte(test.line))
		if string(got) != "x"+test.want || (test.fault == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%q: got %q, %v", test.line, got, err)
		}
	}
	if l.Number() != 8 {
		t.Errorf("number %d", l.Number())
	}
}

func TestCSV(t *testing.T) {
	c, err := codec.NewCSV(codec.CSVConfig{Times: []string{"at"}, Texts: []string{"serial"}}, []byte("\ufeffat,value,\"a \"\"q\"\"\",serial\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ row, want, fault string }{
		{"2014-04-01 00:00:00,19.7,x,007\r\n", `{"at":1396310400000,"value":19.7,"a \"q\"":"x","serial":"007"}`, ""},
		{"2014-04-01T00:00:00.25,-1e3,true,1", `{"at":1396310400250,"value":-1e3,"a \"q\"":true,"serial":"1"}`, ""},
		{",,,", `{}`, ""},
		{`,"1","a,""b""",`, `{"value":"1","a \"q\"":"a,\"b\""}`, ""},
		{",NaN,01,0x1", `{"value":"NaN","a \"q\"":"01","serial":"0x1"}`, ""},
		{",1e999,1.,.5", `{"value":"1e999","a \"q\"":"1.","serial":".5"}`, ""},
		{"\r\n", "", ""},
		{"1,2,3", "", "line 9: "},
		{",,,,", "", "has 5 cells"},
		{"today,1,2,3", "", "bad_time: line 11: "},
		{`,"open,1,2`, "", "not closed"},
		{`,"a"b,1,2`, "", "after the closing quote"},
		{`,a"b,1,2`, "", "quote inside"},
		{",\xff,,", "", "UTF-8"},
	} {
		got, err := c.Append([]byte("x"), []byte(test.row))
		if string(got) != "x"+test.want || (test.fault == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%q: got %q, %v", test.row, got, err)
		}
	}
}

func TestCSVHeader(t *testing.T) {
	for name, test := range map[string]struct {
		config codec.CSVConfig
		header string
	}{
		"repeated":    {codec.CSVConfig{}, "a,b,a"},
		"empty":       {codec.CSVConfig{}, "a,,b"},
		"nothing":     {codec.CSVConfig{}, ""},
		"no column":   {codec.CSVConfig{Times: []string{"t"}}, "a,b"},
		"both":        {codec.CSVConfig{Times: []string{"a"}, Texts: []string{"a"}}, "a,b"},
		"quote comma": {codec.CSVConfig{Comma: '"'}, "a,b"},
	} {
		if _, err := codec.NewCSV(test.config, []byte(test.header)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c, err := codec.NewCSV(codec.CSVConfig{Comma: ';'}, []byte("a;b"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Append(nil, []byte("1,5;2")); string(got) != `{"a":"1,5","b":2}` || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

// FuzzCSV: what a row becomes is a JSON object of the header's names that
// encoding/json reads back cell by cell.
func FuzzCSV(f *testing.F) {
	f.Add("a,b", `1,"x ""y"""`)
	f.Add("a;b", "\x00,-0")
	f.Add(`"a,",b`, "true,2014-04-01 00:00:00")
	f.Fuzz(func(t *testing.T, header, row string) {
		c, err := codec.NewCSV(codec.CSVConfig{}, []byte(header))
		if err != nil {
			return
		}
		got, err := c.Append(nil, []byte(row))
		if err != nil || len(got) == 0 {
			return
		}
		var tree map[string]any
		if err := json.Unmarshal(got, &tree); err != nil {
			t.Fatalf("%q, %q: %s: %v", header, row, got, err)
		}
		for _, name := range slices.Collect(maps.Keys(tree)) {
			if text, ok := tree[name].(string); ok && !strings.Contains(strings.ReplaceAll(row, `""`, `"`), text) {
				t.Fatalf("%q, %q: %s: %q is not in the row", header, row, got, text)
			}
		}
		if !utf8.Valid(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
	})
}
