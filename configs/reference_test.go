package configs_test

import (
	"flag"
	"os"
	"testing"

	"edged/configs"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files and docs/configuration.md anew")

func TestReferenceIsPrinted(t *testing.T) {
	const file = "../docs/configuration.md"
	if *rewrite {
		if err := os.WriteFile(file, []byte(configs.Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != configs.Reference() {
		t.Errorf("%s is not what the tables say; run go test ./configs -run Reference -rewrite", file)
	}
}
