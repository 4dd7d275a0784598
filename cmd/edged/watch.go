package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"edged"
	"edged/fleet"
	"edged/mqtt"
)

const (
	watchShown  = 5    // results shown per refresh; the others are counted
	watchLags   = 4096 // latest lags kept for their quantiles
	watchIDsMax = 100_000
)

// watcher receives results as an upstream would, and checks that each arrives
// once and none is missing.
type watcher struct {
	source *mqtt.Source
	stream string
	since  uint64 // rows up to here were confirmed before we began

	mu       sync.Mutex
	receiver *fleet.Receiver
	unusable int
	fresh    []result
	unshown  int
	lags     []time.Duration // the latest, oldest overwritten first
	results  int
}

// result is what the demo shows of a result.
type result struct {
	Device string  `json:"device"`
	Start  int64   `json:"start"`
	End    int64   `json:"end"`
	Count  int64   `json:"count"`
	Avg    float64 `json:"avg"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Pane   string  `json:"pane"`
	Seq    uint64  `json:"seq"`
}

func (r *result) String() string {
	at := func(ms int64) string { return time.UnixMilli(ms).Format("15:04:05") }
	return fmt.Sprintf("%s  %s to %s  %4d readings  avg %6.2f  min %6.2f  max %6.2f  %s  #%d",
		r.Device, at(r.Start), at(r.End), r.Count, r.Avg, r.Min, r.Max, r.Pane, r.Seq)
}

// newWatcher makes a watcher of a stream, of which rows up to since are old news.
func newWatcher(url, gateway, stream string, since uint64, log *slog.Logger) (*watcher, error) {
	source, err := mqtt.NewSource(mqtt.Config{URL: url, ClientID: "edged-" + gateway + "-watch", Logger: log},
		[]mqtt.Subscription{{Filter: "agg/+", QoS: 1}})
	if err != nil {
		return nil, err
	}
	return &watcher{source: source, stream: stream, since: since, receiver: fleet.NewReceiver(fleet.Config{IDsMax: watchIDsMax})}, nil
}

// run receives until ctx ends.
func (w *watcher) run(ctx context.Context) error {
	return w.source.Run(ctx, func(_ context.Context, b edged.Batch) error {
		var acks []uint64
		for i := range b.Messages {
			w.take(b.Messages[i].Payload, time.Now())
			if ack := b.Messages[i].Ack; ack != 0 {
				acks = append(acks, ack)
			}
		}
		w.source.Ack(acks)
		return nil
	})
}

func (w *watcher) take(payload []byte, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	receipt, err := w.receiver.Take(w.stream, payload)
	var r result
	if err != nil || json.Unmarshal(payload, &r) != nil {
		w.unusable++
		return
	}
	if receipt.Verdict != fleet.Applied {
		return
	}
	lag := now.Sub(time.UnixMilli(r.End))
	if len(w.lags) < watchLags {
		w.lags = append(w.lags, lag)
	} else {
		w.lags[w.results%watchLags] = lag
	}
	w.results++
	if len(w.fresh) < watchShown {
		w.fresh = append(w.fresh, r)
	} else {
		w.unshown++
	}
}

// news returns results that have not been shown, and how many more there were.
func (w *watcher) news() (fresh []result, more int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh, more = w.fresh, w.unshown
	w.fresh, w.unshown = nil, 0
	return fresh, more
}

// verdict is what the watcher can say about a whole run.
type verdict struct {
	Results  uint64        `json:"results"`
	Repeats  uint64        `json:"repeats"` // ignored by their id
	Missing  uint64        `json:"missing"`
	Defects  uint64        `json:"defects"` // contradicting results
	Unusable int           `json:"unusable"`
	Upto     uint64        `json:"upto"`
	LagP50   time.Duration `json:"lag_p50_ns"` // from the end of a window to the arrival of its result
	LagP99   time.Duration `json:"lag_p99_ns"`
}

func (w *watcher) verdict() verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := verdict{Unusable: w.unusable, Upto: w.since}
	for _, s := range w.receiver.Streams() {
		v.Results += s.Applied
		v.Repeats += s.Repeats
		v.Defects += s.Defects
		v.Upto = max(v.Upto, s.Highest)
		for _, gap := range s.Gaps {
			if gap.Last > w.since {
				v.Missing += gap.Last - max(gap.First, w.since+1) + 1
			}
		}
	}
	if sorted := slices.Sorted(slices.Values(w.lags)); len(sorted) > 0 {
		v.LagP50, v.LagP99 = sorted[len(sorted)/2], sorted[len(sorted)*99/100]
	}
	return v
}

// err says what is wrong, given the number of the last row that was confirmed.
func (v verdict) err(confirmed uint64) error {
	missing := v.Missing
	if confirmed > v.Upto {
		missing += confirmed - v.Upto
	}
	if cmp.Or(missing, v.Defects, uint64(v.Unusable)) == 0 {
		return nil
	}
	return fmt.Errorf("%d results are missing, %d contradict others, %d are unusable", missing, v.Defects, v.Unusable)
}
