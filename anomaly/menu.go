package anomaly

import "math"

// Parameters that several detectors have.

func threshold(most, usual float64, doc string) Param {
	return Param{Name: "threshold", Min: 1e-9, Max: most, Default: usual, Doc: doc}
}

func floorParam() Param {
	return Param{Name: "floor", Unit: "value", Max: 1e99, Doc: "smallest deviation that counts: the quantum of the sensor"}
}

func warmup(usual float64) Param {
	return Param{Name: "warmup", Unit: "values", Min: 2, Max: 1e6, Default: usual, Whole: true, Doc: "learned before the first alarm"}
}

func values(name string, least, most, usual float64, doc string) Param {
	return Param{Name: name, Unit: "values", Min: least, Max: most, Default: usual, Whole: true, Doc: doc}
}

func whole(name string, least, most, usual float64, doc string) Param {
	return Param{Name: name, Min: least, Max: most, Default: usual, Whole: true, Doc: doc}
}

func number(name string, least, most, usual float64, doc string) Param {
	return Param{Name: name, Min: least, Max: most, Default: usual, Doc: doc}
}

func millis(name string, least, most, usual float64, doc string) Param {
	return Param{Name: name, Unit: "ms", Min: least, Max: most, Default: usual, Whole: true, Doc: doc}
}

func limit(name string, doc string) Param {
	return Param{Name: name, Unit: "value", Min: -1e300, Max: 1e300, Default: math.NaN(), Doc: doc}
}

func needed(p Param) Param {
	p.Required, p.Default = true, math.NaN()
	return p
}

func onOff(name string, usual float64, doc string) Param {
	return Param{Name: name, Max: 1, Default: usual, Whole: true, Doc: doc}
}

func seedParam() Param {
	return whole("seed", 0, 1<<53, 1, "of the drawings; equal seeds, equal scores")
}

// Spans of time in milliseconds.
const (
	minute = 60e3
	day    = 24 * 60 * minute
)

// catalogue returns all detectors.
func catalogue() []Description {
	var all []Description
	for _, part := range [][]Description{records(), rules(), liveness(), deviations(), seasons(), changes(), forests(), composed()} {
		all = append(all, part...)
	}
	return all
}

func records() []Description {
	usual := NewAuto()
	return []Description{{
		Name: "auto", Doc: "The default: for a series nobody has looked at yet, without any setting.",
		Formula: "max over eight views of max(x-hi, lo-x, 0)/(hi-lo), lo..hi the range of the last epochs",
		Source:  "own composition; records: Rényi 1962", Zone: true,
		Params: []Param{
			millis("epoch", 0, EpochMax, float64(usual.Epoch), "how long a range is remembered at least"),
			values("epoch_rows", 100, AutoRowsMax, float64(usual.EpochRows), "of an epoch at least"),
			values("warmup", jumpLag+1, AutoRowsMax, float64(usual.WarmUp), "learned before the first score"),
			values("cooldown", 0, AutoRowsMax, float64(usual.CoolDown), "after an alarm in which only a higher score alarms again"),
			number("threshold", 1e-9, 5, usual.Minor, "score of an alarm, as a share of the range"),
			number("major", 1e-9, 5, usual.Major, "score of a major alarm"),
			number("critical", 1e-9, 5, usual.Critical, "score of a critical alarm"),
		},
		build: func(a args) Spec {
			return &Auto{Zone: a.zone, Epoch: a.ms("epoch"), EpochRows: a.i("epoch_rows"), WarmUp: a.i("warmup"),
				CoolDown: a.i("cooldown"), Minor: a.f("threshold"), Major: a.f("major"), Critical: a.f("critical")}
		},
	}}
}

func rules() []Description {
	return []Description{{
		Name: "threshold", Doc: "For limits that are known, with up to four levels.",
		Formula: "on when x > H for on_delay; off when x < H - hysteresis for off_delay; low side mirrored",
		Source:  "ISA-18.2, IEC 62682",
		Params: []Param{limit("low_low", "LL"), limit("low", "L"), limit("high", "H"), limit("high_high", "HH"),
			{Name: "hysteresis", Unit: "value", Max: 1e300, Doc: "how far back a value must be"},
			millis("on_delay", 0, 1<<40, 0, "how long beyond the limit"), millis("off_delay", 0, 1<<40, 0, "how long back")},
		build: func(a args) Spec {
			return &Threshold{LowLow: a.f("low_low"), Low: a.f("low"), High: a.f("high"), HighHigh: a.f("high_high"),
				Hysteresis: a.f("hysteresis"), OnDelay: a.ms("on_delay"), OffDelay: a.ms("off_delay")}
		},
	}, {
		Name: "range", Doc: "For physical limits: what is outside is refused, and reaches no detector behind.",
		Formula: "x < low or x > high", Source: "practice", OfMax: 1,
		Params: []Param{needed(limit("low", "smallest plausible value")), needed(limit("high", "largest plausible value"))},
		build: func(a args) Spec {
			p := &Plausible{Low: a.f("low"), High: a.f("high")}
			if len(a.of) > 0 {
				p.Of = a.of[0]
			}
			return p
		},
	}, {
		Name: "rate_of_change", Doc: "For values that cannot move fast, by time and not by samples.",
		Formula: "abs(x_t - x_s)/(t - s) >= limit", Source: "process-control practice",
		Params: []Param{needed(Param{Name: "limit", Unit: "value/s", Min: 1e-30, Max: 1e30, Doc: "fastest usual change"}),
			millis("window", 1, 1<<40, minute, "over which the change is seen")},
		build: func(a args) Spec { return &RateOfChange{Limit: a.f("limit"), Window: a.ms("window")} },
	}}
}

func liveness() []Description {
	return []Description{{
		Name: "stuck", Doc: "For sensors that freeze.", Formula: "max - min over window <= quantum", Source: "practice",
		Params: []Param{{Name: "quantum", Unit: "value", Max: 1e99, Doc: "largest movement that is none; 0: exact equality"},
			needed(millis("window", 1, 1<<40, 0, "how long it must not move"))},
		build: func(a args) Spec { return &Stuck{Quantum: a.f("quantum"), Window: a.ms("window")} },
	}, {
		Name: "dead_man", Doc: "For devices that fall silent.", Formula: "now - last > factor x interval", Source: "practice", Timed: true,
		Params: []Param{millis("interval", 0, 1<<40, 0, "expected between values; 0: learned"),
			number("factor", 1, 1e6, 3, "intervals of silence"), values("warmup", 1, 1e6, 10, "gaps before a learned interval counts")},
		build: func(a args) Spec {
			return &DeadMan{Interval: a.ms("interval"), Factor: a.f("factor"), Warmup: a.i("warmup")}
		},
	}, {
		Name: "missing", Doc: "For links that lose values.", Formula: "1 - count/(window/interval) >= share", Source: "practice", Timed: true,
		Params: []Param{needed(millis("interval", 1, 1<<40, 0, "expected between values")),
			needed(millis("window", missingParts, 1<<45, 0, "of at least 16 intervals")), number("share", 1e-6, 1, 0.2, "missing")},
		build: func(a args) Spec {
			return &Missing{Interval: a.ms("interval"), Window: a.ms("window"), Share: a.f("share")}
		},
	}}
}

func deviations() []Description {
	return []Description{{
		Name: "zscore", Doc: "For steady noise around one level.", Formula: "abs(x - m)/s", Source: "Shewhart 1931; Welford 1962",
		Params: []Param{values("window", 0, 4096, 300, "of the mean; 0: all"), threshold(1e9, 4, "deviations"), floorParam(), warmup(50)},
		build: func(a args) Spec {
			return &ZScore{Window: a.i("window"), Threshold: a.f("threshold"), Floor: a.f("floor"), Warmup: a.i("warmup")}
		},
	}, {
		Name: "ewma", Doc: "For small shifts that last.", Formula: "w += lambda (x - w); abs(w - m)/(s sqrt(lambda/(2 - lambda)))", Source: "Roberts 1959",
		Params: []Param{number("lambda", 1e-6, 1, 0.2, "weight of a value"), number("memory", 1e-9, 1, 0.001, "weight of a value in m and s"),
			threshold(1e9, 4, "deviations"), floorParam(), warmup(100)},
		build: func(a args) Spec {
			return &EWMAChart{Lambda: a.f("lambda"), Memory: a.f("memory"), Threshold: a.f("threshold"), Floor: a.f("floor"), Warmup: a.i("warmup")}
		},
	}, {
		Name: "mad", Doc: "For spikes in series with outliers.", Formula: "abs(x - med)/(1.4826 MAD)", Source: "Hampel 1974; Iglewicz and Hoaglin 1993",
		Params: []Param{values("window", 5, 1001, 101, "of the median"), threshold(1e9, 6, "robust deviations"), floorParam(), values("warmup", 2, 1001, 30, "before the first alarm")},
		build: func(a args) Spec {
			return &MAD{Window: a.i("window"), Threshold: a.f("threshold"), Floor: a.f("floor"), Warmup: a.i("warmup")}
		},
	}}
}

func seasons() []Description {
	return []Description{{
		Name: "holt_winters", Doc: "For a season of fixed length with a trend.", Formula: "x - (level + trend + season), in deviations", Source: "Holt 1957; Winters 1960; Brutlag 2000",
		Params: []Param{millis("period", 1, 1<<45, day, "of the season"), millis("offset", -day, day, 0, "where the period starts after the epoch"),
			whole("bins", 1, 1024, 48, "parts of a period"), number("alpha", 0, 1, 0.05, "weight of the level"),
			number("beta", 0, 1, 0.001, "weight of the trend"), number("gamma", 0, 1, 0.1, "weight of the season"),
			threshold(1e9, 5, "deviations"), floorParam(), warmup(100)},
		build: func(a args) Spec {
			return &HoltWinters{Period: a.ms("period"), Offset: a.ms("offset"), Bins: a.i("bins"), Alpha: a.f("alpha"), Beta: a.f("beta"),
				Gamma: a.f("gamma"), Threshold: a.f("threshold"), Floor: a.f("floor"), Warmup: a.i("warmup")}
		},
	}, {
		Name: "clock_bins", Doc: "For daily and weekly habits, in the time of a place.", Formula: "abs(x - m_hour)/s_hour", Source: "practice", Zone: true,
		Params: []Param{onOff("week", 1, "hours of the week rather than of the day"), values("memory", 2, 1e6, 200, "of a bin"),
			threshold(1e9, 5, "deviations"), floorParam(), warmup(20)},
		build: func(a args) Spec {
			return &ClockBins{Week: a.on("week"), Zone: a.zone, Memory: a.i("memory"), Threshold: a.f("threshold"), Floor: a.f("floor"), Warmup: a.i("warmup")}
		},
	}}
}

func changes() []Description {
	return []Description{{
		Name: "cusum", Doc: "For small drifts from a reference.", Formula: "S = max(0, S + z - k) >= threshold, both ways", Source: "Page 1954",
		Params: []Param{number("k", 0, 100, 0.5, "half of the shift to find, in deviations"), threshold(1e9, 10, "deviations"), floorParam(), warmup(200),
			onOff("relearn", 1, "an alarm makes a new reference")},
		build: func(a args) Spec {
			return &CUSUM{K: a.f("k"), Threshold: a.f("threshold"), Floor: a.f("floor"), Warmup: a.i("warmup"), Relearn: a.on("relearn")}
		},
	}, {
		Name: "page_hinkley", Doc: "For changes of the mean without a reference.", Formula: "sum of (z - delta) less its minimum >= threshold, both ways", Source: "Page 1954; Hinkley 1971",
		Params: []Param{number("delta", 0, 100, 0.2, "tolerated drift, in deviations"), threshold(1e9, 50, "deviations"), floorParam(), warmup(50)},
		build: func(a args) Spec {
			return &PageHinkley{Delta: a.f("delta"), Threshold: a.f("threshold"), Floor: a.f("floor"), Warmup: a.i("warmup")}
		},
	}, {
		Name: "adwin", Doc: "For changes of the mean, with a proven bound on false ones.", Formula: "abs(m0 - m1)/eps >= 1 at any cut of the window", Source: "Bifet and Gavaldà 2007",
		Params: []Param{number("delta", 1e-12, 0.5, 0.002, "confidence"), floorParam(), warmup(64)},
		build: func(a args) Spec {
			return &ADWIN{Delta: a.f("delta"), Floor: a.f("floor"), Warmup: a.i("warmup")}
		},
	}}
}

func forests() []Description {
	return []Description{{
		Name: "half_space_trees", Doc: "For shapes, cheaply; it needs two windows to learn.", Formula: "mean over trees of log2(window/(r 2^depth + 1))", Source: "Tan, Ting and Liu 2011",
		Params: []Param{whole("trees", 1, 50, 10, "more are steadier"), whole("depth", 1, 10, 7, "of a tree"), values("window", 16, 10000, 500, "points of a window"),
			values("shingle", 1, shingleMax, 2, "that make a point"), threshold(14, 6, "doublings of rarity"), seedParam()},
		build: func(a args) Spec {
			return &HalfSpaceTrees{Trees: a.i("trees"), Depth: a.i("depth"), Window: a.i("window"), Shingle: a.i("shingle"), Threshold: a.f("threshold"), Seed: uint64(a.f("seed"))}
		},
	}, {
		Name: "random_cut_forest", Doc: "For shapes, at a price of some 0.1 ms a value.", Formula: "mean over trees of the largest (cut away)/(kept) on the way to the point", Source: "Guha, Mishra, Roy and Schrijvers 2016",
		Params: []Param{whole("trees", 1, 100, 20, "more are steadier"), values("window", 16, 512, 128, "points to compare with"),
			values("shingle", 1, shingleMax, 1, "that make a point"), threshold(512, 64, "displacement"), seedParam()},
		build: func(a args) Spec {
			return &RandomCutForest{Trees: a.i("trees"), Window: a.i("window"), Shingle: a.i("shingle"), Threshold: a.f("threshold"), Seed: uint64(a.f("seed"))}
		},
	}}
}

func composed() []Description {
	return []Description{{
		Name: "likelihood", Doc: "Around a detector whose scores are noisy.", Formula: "-log10 Q((mean_short(s) - m(s))/sd(s))", Source: "Lavin and Ahmad 2015", OfMin: 1, OfMax: 1,
		Params: []Param{values("short", 1, 256, 10, "of the recent mean"), values("long", 2, 1e6, 2000, "of the usual level"),
			threshold(300, 6, "powers of ten"), number("floor", 0, 1e99, 0.01, "smallest deviation of scores"), warmup(100)},
		build: func(a args) Spec {
			return &Likelihood{Of: a.of[0], Short: a.i("short"), Long: a.i("long"), Threshold: a.f("threshold"), Floor: a.f("floor"), Warmup: a.i("warmup")}
		},
	}, {
		Name: "vote", Doc: "For fewer false alarms: several must agree.", Formula: "k of n alarm", Source: "practice", OfMin: 1, OfMax: 32,
		Params: []Param{needed(whole("k", 1, 32, 0, "voices that make an alarm"))},
		build:  func(a args) Spec { return &Vote{K: a.i("k"), Of: a.of} },
	}}
}
