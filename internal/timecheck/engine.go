package timecheck

import (
	"fmt"

	"edged/edgedtest"
)

// Driver is the engine: package edgedtest, which runs the operators of the daemon.
type Driver struct{}

// Run implements [Engine].
func (Driver) Run(document string, steps []string) ([]string, error) {
	d, err := edgedtest.Open("pipeline.yaml", []byte(document))
	if err != nil {
		return nil, err
	}
	var lines []string
	for i, s := range steps {
		results, err := d.Step([]byte(s))
		if err != nil {
			return nil, fmt.Errorf("step %d, %s: %w", i, s, err)
		}
		for _, r := range results {
			lines = append(lines, r.String())
		}
	}
	return lines, nil
}
