package anomaly

// shingleMax is the most successive values that make one point.
const shingleMax = 8

// chance returns a number that depends on its arguments alone and looks random:
// the finaliser of splitmix64 over both.
func chance(seed, at uint64) uint64 {
	z := seed + (at+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit makes a number of chance one from 0 to less than 1.
func unit(w uint64) float64 { return float64(w>>11) / (1 << 53) }
