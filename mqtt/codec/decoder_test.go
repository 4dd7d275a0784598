package codec_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"edged"
	"edged/mqtt/codec"
)

var seed = flag.Uint64("seed", 0, "seed of the random tests; 0: take the time")

// source returns a random source whose seed is printed when the test fails.
func source(t *testing.T) *rand.Rand {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again with -seed %d", s)
		}
	})
	return rand.New(rand.NewPCG(s, 1))
}

// device is the spec of most tests: two numbers, a text and a bool, of which one
// number is nested and required.
func device() codec.Spec {
	return codec.Spec{
		Key: "device", Time: "ts", Unit: codec.Milliseconds,
		Fields: []codec.Field{
			{Path: "temp", Kind: edged.Number, Slot: 0},
			{Path: "env.hum", Kind: edged.Number, Slot: 1},
			{Path: "site", Kind: edged.Text, Slot: 2},
			{Path: "on", Kind: edged.Bool, Slot: 3},
		},
	}
}

func decoder(t testing.TB, spec codec.Spec) *codec.Decoder {
	t.Helper()
	d, err := codec.NewDecoder(spec)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func causeOf(err error) string {
	if p, ok := errors.AsType[*edged.PoisonError](err); ok {
		return p.Cause
	}
	return ""
}

func TestDecode(t *testing.T) {
	d := decoder(t, device())
	ev := edged.Event{Seq: 7}
	err := d.Decode(&ev, []byte(" {\"device\":\"d\\u00e9\\n\",\"x\":[1,{\"device\":2}],\"ts\":1.7e12,\n\"env\":{\"z\":{},\"hum\":-0.5e-1},\"on\":true,\"temp\":null, \"s\\u0069te\":\"\\ud83d\\ude00\"}\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []edged.Value{{}, edged.NumberValue(-0.05), edged.TextValue("😀"), edged.BoolValue(true)}
	if ev.Seq != 7 || ev.Key != "dé\n" || ev.EventTime != 1700000000000 {
		t.Errorf("got %+v", ev)
	}
	for i, v := range want {
		if ev.Values[i] != v {
			t.Errorf("value %d: got %+v, want %+v", i, ev.Values[i], v)
		}
	}
	if err := d.Decode(&ev, []byte(`{"device":12345678901234567890,"ts":-1}`)); err != nil || ev.Key != "12345678901234567890" || ev.EventTime != -1 {
		t.Errorf("got %+v, %v", ev, err)
	}
	for i, v := range ev.Values {
		if v.Kind != edged.Null {
			t.Errorf("value %d is left from the payload before: %+v", i, v)
		}
	}
}

type causeTest struct{ name, payload, cause string }

func checkCauses(t *testing.T, tests []causeTest) {
	t.Helper()
	d := decoder(t, device())
	for _, test := range tests {
		var ev edged.Event
		if err := d.Decode(&ev, []byte(test.payload)); causeOf(err) != test.cause {
			t.Errorf("%s: got %v, want %q", test.name, err, test.cause)
		}
	}
}

func TestSyntax(t *testing.T) {
	deep := strings.Repeat("[", codec.DepthMax-1) + strings.Repeat("]", codec.DepthMax-1)
	objects := strings.Repeat(`{"a":`, codec.DepthMax) + "1" + strings.Repeat("}", codec.DepthMax)
	checkCauses(t, []causeTest{
		{"fine", `{"device":"a","ts":1}`, ""},
		{"as deep as possible", `{"device":"a","ts":1,"x":` + deep + `}`, ""},
		{"one array deeper", `{"device":"a","ts":1,"x":[` + deep + `]}`, "too_deep"},
		{"one object deeper", `{"device":"a","ts":1,"x":` + objects + `}`, "too_deep"},
		{"empty", ``, "syntax"},
		{"array", `[1]`, "syntax"},
		{"truncated", `{"device":"a","ts":1`, "syntax"},
		{"garbage behind", `{"device":"a","ts":1}x`, "syntax"},
		{"second document", `{"device":"a","ts":1}{}`, "syntax"},
		{"comma behind", `{"device":"a","ts":1,}`, "syntax"},
		{"no colon", `{"device" "a"}`, "syntax"},
		{"bare word", `{device:"a"}`, "syntax"},
		{"single quotes", `{'device':'a'}`, "syntax"},
		{"NaN", `{"device":"a","ts":1,"temp":NaN}`, "syntax"},
		{"Infinity", `{"device":"a","ts":1,"temp":-Infinity}`, "syntax"},
		{"leading zero", `{"device":"a","ts":1,"temp":01}`, "syntax"},
		{"hex", `{"device":"a","ts":1,"temp":0x10}`, "syntax"},
		{"plus", `{"device":"a","ts":1,"temp":+1}`, "syntax"},
		{"no digit before the point", `{"device":"a","ts":1,"temp":.5}`, "syntax"},
		{"no digit after the point", `{"device":"a","ts":1,"temp":5.}`, "syntax"},
		{"no digit in the exponent", `{"device":"a","ts":1,"temp":5e+}`, "syntax"},
		{"minus alone", `{"device":"a","ts":1,"temp":-}`, "syntax"},
		{"bad unread number", `{"device":"a","ts":1,"x":00}`, "syntax"},
		{"bad word", `{"device":"a","ts":1,"x":nul}`, "syntax"},
		{"bad escape", `{"device":"\x61","ts":1}`, "syntax"},
		{"bad hex escape", `{"device":"\u00g1","ts":1}`, "syntax"},
		{"lone surrogate", `{"device":"\ud800","ts":1}`, "syntax"},
		{"wrong surrogate order", `{"device":"\udc00\ud800","ts":1}`, "syntax"},
		{"control character", "{\"device\":\"a\nb\",\"ts\":1}", "syntax"},
		{"highest control character", "{\"device\":\"a\x1fb\",\"ts\":1}", "syntax"},
		{"open string", `{"device":"a`, "syntax"},
		{"escape at the end", `{"device":"a\`, "syntax"},
		{"invalid UTF-8", "{\"device\":\"a\xff\",\"ts\":1}", "syntax"},
		{"invalid UTF-8, unread", "{\"device\":\"a\",\"ts\":1,\"x\":\"\xc0\x80\"}", "syntax"},
		{"byte order mark", "\ufeff{\"device\":\"a\",\"ts\":1}", "syntax"},
	})
}

func TestMembersAndTypes(t *testing.T) {
	checkCauses(t, []causeTest{
		{"key twice", `{"device":"a","ts":1,"device":"b"}`, "syntax"},
		{"key twice, escaped", `{"device":"a","ts":1,"devic\u0065":"b"}`, "syntax"},
		{"nested twice", `{"device":"a","ts":1,"env":{"hum":1},"env":{"hum":2}}`, "syntax"},
		{"null and again", `{"device":"a","ts":1,"temp":null,"temp":1}`, "syntax"},
		{"unread twice", `{"device":"a","ts":1,"x":1,"x":2}`, ""},
		{"number is text", `{"device":"a","ts":1,"temp":"1"}`, "type"},
		{"number is bool", `{"device":"a","ts":1,"temp":true}`, "type"},
		{"number is object", `{"device":"a","ts":1,"temp":{}}`, "type"},
		{"number is array", `{"device":"a","ts":1,"temp":[1]}`, "type"},
		{"number too large", `{"device":"a","ts":1,"temp":1e999}`, "type"},
		{"number absurdly large", `{"device":"a","ts":1,"temp":1e99999999999999999999}`, "type"},
		{"unread number too large", `{"device":"a","ts":1,"x":1e999}`, ""},
		{"text is number", `{"device":"a","ts":1,"site":1}`, "type"},
		{"bool is number", `{"device":"a","ts":1,"on":1}`, "type"},
		{"object is number", `{"device":"a","ts":1,"env":1}`, "type"},
		{"object is null", `{"device":"a","ts":1,"env":null}`, ""},
		{"object is array", `{"device":"a","ts":1,"env":[]}`, "type"},
	})
}

func TestKeysAndTimes(t *testing.T) {
	checkCauses(t, []causeTest{
		{"key is bool", `{"device":true,"ts":1}`, "type"},
		{"key is object", `{"device":{},"ts":1}`, "type"},
		{"key is fraction", `{"device":1.5,"ts":1}`, "type"},
		{"key is exponent", `{"device":1e3,"ts":1}`, "type"},
		{"key absent", `{"ts":1}`, "missing_key"},
		{"key null", `{"device":null,"ts":1}`, "missing_key"},
		{"key empty", `{"device":"","ts":1}`, "missing_key"},
		{"key longest", `{"device":"` + strings.Repeat("k", codec.KeyBytesMax) + `","ts":1}`, ""},
		{"key too long", `{"device":"` + strings.Repeat("k", codec.KeyBytesMax+1) + `","ts":1}`, "key_too_long"},
		{"time absent", `{"device":"a"}`, "missing_time"},
		{"time null", `{"device":"a","ts":null}`, "missing_time"},
		{"time text", `{"device":"a","ts":"1"}`, "bad_time"},
		{"time bool", `{"device":"a","ts":false}`, "bad_time"},
		{"time object", `{"device":"a","ts":{}}`, "bad_time"},
		{"time array", `{"device":"a","ts":[]}`, "bad_time"},
		{"time beyond int64", `{"device":"a","ts":99999999999999999999}`, "bad_time"},
		{"time infinite", `{"device":"a","ts":1e999}`, "bad_time"},
		{"time at the end", `{"device":"a","ts":253402300799999.9}`, ""},
		{"time after the end", `{"device":"a","ts":253402300800000}`, "bad_time"},
		{"time at the beginning", `{"device":"a","ts":-62167219200000}`, ""},
		{"time before the beginning", `{"device":"a","ts":-62167219200000.1}`, "bad_time"},
	})
}

// Digits beyond those that fit into an integer decide, too, when they are all
// that is left of a fraction.
func TestTimesFloorByTheLastDigit(t *testing.T) {
	d := decoder(t, device())
	for text, want := range map[string]edged.Timestamp{
		"-1.000000000000000000000000001": -2,
		"-1.000000000000000000000000000": -1,
		"1.999999999999999999999999999":  1,
		"-0.000000000000000000000000001": -1,
		"-1e-400":                        -1,
		"-0e-400":                        0,
		"1000000000000000000000001e-24":  1,
		"-1000000000000000000000001e-24": -2,
	} {
		var ev edged.Event
		if err := d.Decode(&ev, []byte(`{"device":"a","ts":`+text+`}`)); err != nil || ev.EventTime != want {
			t.Errorf("%s: got %d, %v, want %d", text, ev.EventTime, err, want)
		}
	}
}

func TestRequired(t *testing.T) {
	spec := device()
	spec.Fields[1].Required = true
	spec.Fields = append(spec.Fields, codec.Field{Path: "n", Kind: edged.Number, Required: true, Slot: -1})
	d := decoder(t, spec)
	for payload, cause := range map[string]string{
		`{"device":"a","ts":1,"env":{"hum":1},"n":1}`:    "",
		`{"device":"a","ts":1,"env":{"hum":null},"n":1}`: "missing_field",
		`{"device":"a","ts":1,"env":null,"n":1}`:         "missing_field",
		`{"device":"a","ts":1,"n":1}`:                    "missing_field",
		`{"device":"a","ts":1,"env":{"hum":1}}`:          "missing_field",
		`{"device":"a","ts":1,"env":{"hum":1},"n":"1"}`:  "type",
	} {
		var ev edged.Event
		if err := d.Decode(&ev, []byte(payload)); causeOf(err) != cause {
			t.Errorf("%s: got %v, want %q", payload, err, cause)
		}
	}
}

func TestOneMemberForAll(t *testing.T) {
	d := decoder(t, codec.Spec{Key: "ts", Time: "ts", Unit: codec.Seconds, Fields: []codec.Field{
		{Path: "ts", Kind: edged.Number, Slot: 0}, {Path: "ts", Kind: edged.Number, Slot: 1}}})
	var ev edged.Event
	if err := d.Decode(&ev, []byte(`{"ts":12}`)); err != nil || ev.Key != "12" || ev.EventTime != 12000 ||
		ev.Values[0].Float() != 12 || ev.Values[1].Float() != 12 {
		t.Errorf("got %+v, %v", ev, err)
	}
}

func TestRFC3339(t *testing.T) {
	d := decoder(t, codec.Spec{Key: "k", Time: "t", Unit: codec.RFC3339})
	for text, want := range map[string]edged.Timestamp{
		"1970-01-01T00:00:00Z":              0,
		"1970-01-01T00:00:00.0019Z":         1,
		"1969-12-31T23:59:59.9999Z":         -1,
		"2024-05-01T12:00:00.5+02:00":       1714557600500,
		"9999-12-31T23:59:59.999Z":          253402300799999,
		"0000-01-01T00:00:00Z":              -62167219200000,
		"0000-01-01T00:00:00+01:00":         edged.MinTimestamp,
		"2024-05-01 12:00:00Z":              edged.MinTimestamp,
		"2024-05-01T12:00:00":               edged.MinTimestamp,
		"2024-02-30T12:00:00Z":              edged.MinTimestamp,
		"2024-05-01T12:00:00,5Z":            edged.MinTimestamp,
		"2024-05-01T1:00:00Z":               edged.MinTimestamp,
		"2024-05-01T12:00:60Z":              edged.MinTimestamp,
		"2024-00-01T12:00:00Z":              edged.MinTimestamp,
		"2024-05-01T12:00:00+24:00":         edged.MinTimestamp,
		"2024-05-01T12:00:00-00:30":         1714566600000,
		"2024-05-01T12:00:00.Z":             edged.MinTimestamp,
		"9999-12-31T23:59:59-00:01":         edged.MinTimestamp,
		"":                                  edged.MinTimestamp,
		"\\u0031970-01-01T00:00:00Z":        0,
		strings.Repeat("9", 1000):           edged.MinTimestamp,
		"1970-01-01T00:00:00.000000000999Z": 0,
	} {
		var ev edged.Event
		err := d.Decode(&ev, []byte(`{"k":"a","t":"`+text+`"}`))
		if want == edged.MinTimestamp {
			if causeOf(err) != "bad_time" {
				t.Errorf("%s: got %d, %v, want bad_time", text, ev.EventTime, err)
			}
		} else if err != nil || ev.EventTime != want {
			t.Errorf("%s: got %d, %v, want %d", text, ev.EventTime, err, want)
		}
	}
}

func TestSpecIsChecked(t *testing.T) {
	for name, change := range map[string]func(*codec.Spec){
		"no time":          func(s *codec.Spec) { s.Time = "" },
		"hole in a path":   func(s *codec.Spec) { s.Key = "a..b" },
		"unit":             func(s *codec.Spec) { s.Unit = "minutes" },
		"null field":       func(s *codec.Spec) { s.Fields[0].Kind = edged.Null },
		"value and object": func(s *codec.Spec) { s.Fields[0].Path = "env" },
		"object and value": func(s *codec.Spec) { s.Key = "ts.x" },
	} {
		spec := device()
		change(&spec)
		if _, err := codec.NewDecoder(spec); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The interned strings must not refer to the payload, and forgetting them must
// not change them.
func TestKeysOutliveThePayload(t *testing.T) {
	d := decoder(t, device())
	payload := []byte(`{"device":"abc","ts":1,"site":"xyz"}`)
	var ev edged.Event
	if err := d.Decode(&ev, payload); err != nil {
		t.Fatal(err)
	}
	clear(payload)
	if ev.Key != "abc" || ev.Values[2].Text() != "xyz" {
		t.Errorf("got %+v", ev)
	}
	key := d.Key("abc")
	for i := range codec.TextsInterned + 2 {
		text := []byte(`{"device":"abc","ts":1,"site":"` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune(0x4e00+i)) + `"}`)
		if err := d.Decode(&ev, text); err != nil {
			t.Fatal(err)
		}
	}
	if key != "abc" {
		t.Errorf("got %q", key)
	}
}

const typical = `{"device":"d000123","ts":1700000000000,"temp":21.37,"env":{"hum":48.2},"site":"north"}`

func TestDecodeDoesNotAllocate(t *testing.T) {
	d := decoder(t, device())
	var ev edged.Event
	payload := []byte(typical)
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Decode(&ev, payload); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	d, err := codec.NewDecoder(codec.Spec{Key: "device", Time: "ts", Unit: codec.Milliseconds,
		Fields: []codec.Field{{Path: "temp", Kind: edged.Number}}})
	if err != nil {
		b.Fatal(err)
	}
	var ev edged.Event
	payload := []byte(`{"device":"d000123","ts":1700000000000,"temp":21.37,"hum":48.2,"site":"north","ok":true,"x":1}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if err := d.Decode(&ev, payload); err != nil {
			b.Fatal(err)
		}
	}
}
