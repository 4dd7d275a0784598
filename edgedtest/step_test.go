package edgedtest_test

import (
	"strings"
	"testing"

	"edged/edgedtest"
)

func open(t testing.TB, document string, names ...string) *edgedtest.Driver {
	t.Helper()
	d, err := edgedtest.Open("test.yaml", []byte(document), names...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestBadSteps checks what the errors of refused steps say.
func TestBadSteps(t *testing.T) {
	d := open(t, countDocument)
	for text, says := range map[string]string{
		``:                                        "is not JSON",
		`[]`:                                      "must be an object, but is a list",
		`{}`:                                      "exactly one member, one of event, bundle",
		`{"event":{"ts":1}}{}`:                    "something after the object",
		`{"event":{"ts":1},"end":true}`:           "exactly one member",
		`{"evnt":{"ts":1}}`:                       `did you mean "event"?`,
		`{"frobnicate":1}`:                        "use one of event, bundle",
		`{"event":3}`:                             "event: must be an object, but is the number 3",
		`{"event":{"key":"a"}}`:                   "the member ts is missing",
		`{"event":{"ts":1.5}}`:                    "event.ts: 1.5 is not a whole number",
		`{"event":{"ts":"1"}}`:                    `event.ts: must be a whole number of milliseconds, but is the text "1"`,
		`{"event":{"ts":9223372036854775808}}`:    "within 64 bits",
		`{"event":{"ts":1,"ts":2}}`:               `the member "ts" is given twice`,
		`{"event":{"ts":1,"key":2}}`:              "event.key: must be a text, but is the number 2",
		`{"event":{"ts":1,"valu":2}}`:             `there is no field "valu"; did you mean "value"?`,
		`{"event":{"ts":1,"pressure":2}}`:         `there is no field "pressure"; the fields are value`,
		`{"event":{"ts":1,"value":[1]}}`:          "event.value: must be a number, a text, a bool or null, but is a list",
		`{"event":{"ts":1,"value":1e999}}`:        "not within the range of a number",
		`{"event":{"ts":1,"id":true}}`:            "event.id: must be a text or a number",
		`{"event":{"ts":1,"stream":"q"}}`:         `no pipeline takes events of the stream "q"; give it the member stream, one of p`,
		`{"bundle":{"ts":1}}`:                     "bundle: must be a list of events, but is an object",
		`{"bundle":[{"ts":1},{"key":"a"}]}`:       "bundle[1]: the member ts is missing",
		`{"bundle":[{"ts":1},{"ts":1,"x":1}]}`:    `there is no field "x"`,
		`{"watermark":5}`:                         "no pipeline lets it be told",
		`{"processing_time":null}`:                "processing_time: must be a whole number of milliseconds, but is null",
		`{"processing_time":-1}`:                  "-1 is before 0",
		`{"idle":7}`:                              "idle: must be the name of a source",
		`{"active":5}`:                            "active: must be the name of a source",
		`{"checkpoint_restore":false}`:            "checkpoint_restore: must be true, but is the bool false",
		`{"end":1}`:                               "end: must be true",
		"{\"event\":{\"ts\":1,\"key\":\"\xff\"}}": "is not valid UTF-8",
		strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40): "nested more than",
	} {
		results, err := d.Step([]byte(text))
		if err == nil || !strings.Contains(err.Error(), says) || len(results) > 0 {
			t.Errorf("%s\n got %v, %v\nwant ...%s...", text, results, err, says)
		}
	}
	if d.Steps() != 0 || d.Counts() != (edgedtest.Counts{}) {
		t.Errorf("refused steps did something: %d steps, %+v", d.Steps(), d.Counts())
	}
}

// TestErrorsNameTheLine checks that comments count as lines and not as steps.
func TestErrorsNameTheLine(t *testing.T) {
	d := open(t, countDocument)
	script := "# one\n\n" + `{"event":{"ts":1}}` + "\n  # four\n" + `{"end":1}`
	err := d.Run(strings.NewReader(script), func([]edgedtest.Result) error { return nil })
	if err == nil || !strings.HasPrefix(err.Error(), "5: end: ") || d.Steps() != 1 {
		t.Errorf("got %v after %d steps", err, d.Steps())
	}
}

// FuzzStep checks that no line panics, and that what it does is a function of it.
func FuzzStep(f *testing.F) {
	for _, seed := range []string{
		`{"event":{"key":"a","ts":1,"value":2}}`, `{"bundle":[{"ts":1},{"ts":99,"id":"x"}]}`, `{"processing_time":50000}`,
		`{"checkpoint_restore":true}`, `{"end":true}`, `{"watermark":5}`, `{"event":{"ts":-9223372036854775808}}`, `{"a":{"a":[{}]}}`,
	} {
		f.Add([]byte(seed), []byte(`{"event":{"key":"a","ts":9223372036854775807}}`))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, b := open(t, countDocument), open(t, countDocument)
		for _, line := range [][]byte{first, second, []byte(`{"checkpoint_restore":true}`)} {
			x, errX := a.Step(line)
			y, errY := b.Step(line)
			if (errX == nil) != (errY == nil) || len(x) != len(y) {
				t.Fatalf("%s: %v %v, then %v %v", line, x, errX, y, errY)
			}
			for i := range x {
				if x[i].String() != y[i].String() {
					t.Fatalf("%s: %s, then %s", line, x[i], y[i])
				}
			}
		}
	})
}
