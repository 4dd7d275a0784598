package alarms_test

import "flag"

var (
	seedFlag  = flag.Uint64("seed", 1, "the first seed of random cases")
	casesFlag = flag.Int("cases", 3000, "how many random cases are compared")
	depthFlag = flag.Int("depth", 4, "how many steps the scripts have of which all are tried")
)
