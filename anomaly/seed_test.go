package anomaly_test

import "flag"

// seed is for all random tests of the package.
var seed = flag.Uint64("seed", 1, "seed of the random tests")
