package query_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edged/query"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew; rewrite only what you can explain")

func none(string) (string, bool) { return "", false }

// faultsOf parses and compiles a document and returns all faults.
func faultsOf(file string, text []byte) query.Errors {
	doc, err := query.Parse(file, text, none)
	faults, _ := errors.AsType[query.Errors](err)
	if err != nil {
		return faults
	}
	_, err = doc.Compile(false)
	more, _ := errors.AsType[query.Errors](err)
	return append(faults, more...)
}

func TestGoldenErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := faultsOf(filepath.Base(file), text).Error() + "\n"
		golden := strings.TrimSuffix(file, ".yaml") + ".txt"
		if *rewrite {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, _ := os.ReadFile(golden); got != string(want) {
			t.Errorf("%s: got\n%swant\n%s", file, got, want)
		}
	}
}
