package codec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"edged"
	"edged/mqtt/codec"
)

// FuzzDecode compares with encoding/json: what we take, it takes, with the same
// values; what we call a syntax error, it refuses, unless we are stricter on purpose.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		typical, `{}`, `{"device":1,"ts":1e3}`, `{"device":"\u00e9\ud83d\ude00","ts":-0.5,"temp":123456789012345678901234567890}`,
		`{"device":"a","ts":1,"device":"b"}`, `{"device":"a","ts":01}`, `[[[[`, `{"env":{"hum":0.1e-400}}`, "{\"a\":\"\xff\"}",
		`{"device":"a","ts":1,"x":"\ud800"}`, `{"device":"a","ts":253402300799999.99999999999999999999}`,
	} {
		f.Add([]byte(s))
	}
	d := decoder(f, device())
	f.Fuzz(func(t *testing.T, payload []byte) { compare(t, d, payload) })
}

func TestDecodeAgainstOracle(t *testing.T) {
	r := source(t)
	d := decoder(t, device())
	for range 30000 {
		compare(t, d, mutate(r, []byte(randomObject(r))))
		if t.Failed() {
			return
		}
	}
}

func compare(t *testing.T, d *codec.Decoder, payload []byte) {
	t.Helper()
	var ev edged.Event
	err := d.Decode(&ev, payload)
	decode := json.NewDecoder(bytes.NewReader(payload))
	decode.UseNumber()
	var tree map[string]any
	oracle := decode.Decode(&tree)
	if oracle == nil && decode.More() || !json.Valid(payload) {
		oracle = fmt.Errorf("not one value")
	}
	switch cause := causeOf(err); {
	case err == nil && (oracle != nil || tree == nil):
		t.Fatalf("%q: accepted, but %v", payload, oracle)
	case err == nil:
		check(t, &ev, tree, payload)
	case cause == "":
		t.Fatalf("%q: %v has no cause", payload, err)
	case cause == codec.CauseSyntax && oracle == nil && tree != nil && !stricter(payload, err):
		t.Fatalf("%q: refused: %v", payload, err)
	}
}

// stricter reports whether we refuse payload on purpose, though it is JSON.
func stricter(payload []byte, err error) bool {
	return !utf8.Valid(payload) || strings.Contains(err.Error(), "twice") ||
		bytes.Contains(bytes.ToLower(payload), []byte(`\ud`)) && strings.Contains(err.Error(), "escape")
}

func check(t *testing.T, ev *edged.Event, tree map[string]any, payload []byte) {
	t.Helper()
	switch key := tree["device"].(type) {
	case string:
		if ev.Key != key {
			t.Fatalf("%q: key %q", payload, ev.Key)
		}
	case json.Number:
		if ev.Key != key.String() {
			t.Fatalf("%q: key %q", payload, ev.Key)
		}
	default:
		t.Fatalf("%q: accepted without a key", payload)
	}
	if want, ok := floorMillis(string(tree["ts"].(json.Number)), codec.Milliseconds); !ok || int64(ev.EventTime) != want {
		t.Fatalf("%q: time %d, want %d", payload, ev.EventTime, want)
	}
	env, _ := tree["env"].(map[string]any)
	for i, want := range []any{tree["temp"], env["hum"], tree["site"], tree["on"]} {
		if got := ev.Values[i]; !same(got, want) {
			t.Fatalf("%q: value %d is %+v, want %v", payload, i, got, want)
		}
	}
}

func same(v edged.Value, want any) bool {
	switch w := want.(type) {
	case nil:
		return v.Kind == edged.Null
	case json.Number:
		f, err := strconv.ParseFloat(string(w), 64)
		return err == nil && v.Kind == edged.Number && math.Float64bits(v.Float()) == math.Float64bits(f)
	case string:
		return v.Kind == edged.Text && v.Text() == w
	case bool:
		return v.Kind == edged.Bool && v.Bool() == w
	}
	return false
}

// floorMillis computes a time with rational numbers.
func floorMillis(text string, unit codec.TimeUnit) (int64, bool) {
	if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok {
		if n, err := strconv.Atoi(exponent); err != nil || n > 400 || n < -400 {
			return 0, err == nil && n < 0 && !strings.HasPrefix(text, "-")
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, false
	}
	scale := map[codec.TimeUnit]*big.Rat{
		codec.Seconds: big.NewRat(1000, 1), codec.Milliseconds: big.NewRat(1, 1),
		codec.Microseconds: big.NewRat(1, 1000), codec.Nanoseconds: big.NewRat(1, 1000000),
	}[unit]
	r.Mul(r, scale)
	q := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: floors for a positive denominator
	const first, last = -62167219200000, 253402300799999
	return q.Int64(), q.IsInt64() && q.Int64() >= first && q.Int64() <= last
}

func TestTimesAgainstOracle(t *testing.T) {
	r := source(t)
	for _, unit := range []codec.TimeUnit{codec.Seconds, codec.Milliseconds, codec.Microseconds, codec.Nanoseconds} {
		d := decoder(t, codec.Spec{Key: "k", Time: "t", Unit: unit})
		for range 10000 {
			text := randomNumber(r)
			var ev edged.Event
			err := d.Decode(&ev, []byte(`{"k":"a","t":`+text+`}`))
			want, ok := floorMillis(text, unit)
			if ok != (err == nil) || ok && int64(ev.EventTime) != want {
				t.Fatalf("%s %s: got %d, %v; want %d, %v", text, unit, ev.EventTime, err, want, ok)
			}
		}
	}
}

func randomNumber(r *rand.Rand) string {
	var b strings.Builder
	if r.IntN(3) == 0 {
		b.WriteByte('-')
	}
	digits := func(n int) {
		for range n {
			b.WriteByte(byte('0' + r.IntN(10)))
		}
	}
	if n := r.IntN(24); n == 0 {
		b.WriteByte('0')
	} else {
		b.WriteByte(byte('1' + r.IntN(9)))
		digits(n - 1)
	}
	if r.IntN(2) == 0 {
		b.WriteByte('.')
		digits(1 + r.IntN(24))
	}
	if r.IntN(3) == 0 {
		fmt.Fprintf(&b, "e%d", r.IntN(60)-30)
	}
	return b.String()
}

func randomObject(r *rand.Rand) string {
	value := func() string {
		return [...]string{`"a"`, `"\u00e9"`, `""`, "true", "false", "null", "{}", "[1,{}]", `{"hum":2}`,
			randomNumber(r), randomNumber(r), randomNumber(r), "17"}[r.IntN(13)]
	}
	names := []string{"device", "ts", "temp", "env", "site", "on", "x", "hum"}
	members := []string{`"device":"d1"`, `"ts":` + strconv.Itoa(r.IntN(1e9))}
	if r.IntN(4) == 0 {
		members = nil
	}
	for range r.IntN(4) {
		members = append(members, fmt.Sprintf("%q:%s", names[r.IntN(len(names))], value()))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// mutate changes a byte in half of the cases.
func mutate(r *rand.Rand, b []byte) []byte {
	if r.IntN(2) == 0 {
		const bytes = "\"\\{}[]:,0-e.ntu \x00\xff"
		b[r.IntN(len(b))] = bytes[r.IntN(len(bytes))]
	}
	return b
}
