package configs

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// JSON returns what a configuration file says as one JSON document, to be compared with
// others. Nothing is checked, and variables stay as they stand there.
func JSON(text []byte) (json.RawMessage, error) {
	var tree any
	err := yaml.Unmarshal(text, &tree)
	var data []byte
	if err == nil {
		data, err = json.Marshal(tree)
	}
	if err != nil {
		return nil, fmt.Errorf("read a configuration as a tree: %w", err)
	}
	return data, nil
}
