package strict_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"edged/fleet/strict"
)

type inner struct {
	Seq   int64    `json:"seq"`
	Roles []string `json:"roles,omitempty"`
}

type sample struct {
	V     int               `json:"v"`
	ID    string            `json:"id,omitempty"`
	Inner *inner            `json:"inner,omitempty"`
	List  []inner           `json:"list,omitempty"`
	Map   map[string]string `json:"map,omitempty"`
	Args  json.RawMessage   `json:"args,omitempty"`
}

func TestDecode(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, test := range map[string]struct {
		text, fault string // no fault: accepted
	}{
		"empty object":          {`{}`, ""},
		"white space":           {" \n{\"v\":1}\t ", ""},
		"everything":            {`{"v":1,"id":"a","inner":{"seq":2},"list":[{"seq":3,"roles":["r"]}],"map":{"A":"1","a":"2"},"args":{"ID":null}}`, ""},
		"deep enough":           {`{"args":` + deep(15) + `}`, ""},
		"too deep":              {`{"args":` + deep(16) + `}`, "nested more than 16"},
		"far too deep":          {`{"args":` + deep(1000) + `}`, "nested more than 16"},
		"unclosed and deep":     {strings.Repeat("[", 1500), "nested more than 16"},
		"too long":              {`{"id":"` + strings.Repeat("a", 4096) + `"}`, "bytes are more than"},
		"not UTF-8":             {"{\"id\":\"\xff\"}", "UTF-8"},
		"no value":              {``, "not JSON"},
		"no JSON":               {`{v:1}`, "not JSON"},
		"a second value":        {`{"v":1} {"v":1}`, "follows the value"},
		"a bracket too much":    {`{"v":1}}`, "follows the value"},
		"unclosed":              {`{"v":1`, "not JSON"},
		"comma at the end":      {`{"v":1,}`, "not JSON"},
		"duplicate":             {`{"v":1,"v":1}`, "v: the member is there twice"},
		"duplicate, escaped":    {`{"v":1,"\u0076":2}`, "v: the member is there twice"},
		"duplicate, below":      {`{"list":[{"seq":1},{"seq":1,"seq":2}]}`, "list[1].seq: the member is there twice"},
		"duplicate in raw":      {`{"args":{"a":{"b":1,"b":2}}}`, "args.a.b: the member is there twice"},
		"duplicate in map":      {`{"map":{"a":"1","a":"2"}}`, "map.a: the member is there twice"},
		"unknown":               {`{"w":1}`, "w: unknown member"},
		"unknown below":         {`{"inner":{"who":1}}`, "inner.who: unknown member"},
		"other case":            {`{"ID":"x"}`, `ID: unknown member; "id" is spelled so`},
		"other case, long s":    {`{"inner":{"ſeq":1}}`, `unknown member; "seq" is spelled so`},
		"null":                  {`{"id":null}`, "id: null is no value"},
		"null in a list":        {`{"list":[null]}`, "list[0]: null"},
		"null altogether":       {`null`, "null is no value"},
		"a text for a number":   {`{"v":"1"}`, "does not fit"},
		"a fraction":            {`{"v":1.0}`, "does not fit"},
		"an exponent":           {`{"v":1e2}`, "does not fit"},
		"a number too large":    {`{"inner":{"seq":9223372036854775808}}`, "does not fit"},
		"an object for a list":  {`{"list":{"seq":1}}`, "does not fit"},
		"a list for an object":  {`[]`, "does not fit"},
		"a list for a map":      {`{"map":[1]}`, "does not fit"},
		"an object for a text":  {`{"id":{"a":1}}`, "does not fit"},
		"line feed in a string": {"{\"id\":\"a\nb\"}", "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			var s sample
			err := strict.Decode([]byte(test.text), &s, strict.Limits{Bytes: 4096})
			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%v, want %q", err, test.fault)
			}
			var typed *strict.Error
			if err != nil && !errors.As(err, &typed) {
				t.Errorf("%T", err)
			}
		})
	}
}

// A tolerant reader skips what it does not know, and nothing else.
func TestDecodeUnknown(t *testing.T) {
	limits := strict.Limits{Bytes: 1000, Unknown: true}
	var s sample
	if err := strict.Decode([]byte(`{"v":7,"new":{"x":[null]}}`), &s, limits); err != nil || s.V != 7 {
		t.Errorf("%v, %+v", err, s)
	}
	for _, text := range []string{`{"V":1}`, `{"new":1,"new":1}`, `{"v":null}`, `{"v":1}x`} {
		if err := strict.Decode([]byte(text), &s, limits); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func TestEncode(t *testing.T) {
	data, err := strict.Encode(sample{V: 1, ID: "a<b>&c"})
	if want := `{"v":1,"id":"a<b>&c"}`; err != nil || string(data) != want {
		t.Errorf("%s, %v, want %s", data, err, want)
	}
	if _, err := strict.Encode(func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

// Whatever is accepted is JSON, and means the same when it is written and read
// again.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"v":1,"id":"a","inner":{"seq":2},"list":[{"seq":3}],"map":{"A":"1"},"args":[1,{"x":null}]}`,
		`{"v":1,"v":2}`, `{"ID":"x"}`, `[[[[`, `{"inner":null}`, "\ufeff{}", `{"args":"\ud800"}`,
	} {
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, unknown bool) {
		limits := strict.Limits{Bytes: 1 << 16, Unknown: unknown}
		var first, second sample
		if strict.Decode(data, &first, limits) != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted %q, which is not JSON", data)
		}
		again, err := strict.Encode(first)
		if err != nil {
			t.Fatal(err)
		}
		limits.Bytes = 1 << 20
		if err := strict.Decode(again, &second, limits); err != nil {
			t.Fatalf("%q was accepted, %q not: %v", data, again, err)
		}
		third, _ := strict.Encode(second)
		if string(again) != string(third) || reflect.DeepEqual(first, sample{}) != reflect.DeepEqual(second, sample{}) {
			t.Fatalf("%q became %q", again, third)
		}
	})
}
