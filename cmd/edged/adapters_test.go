package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"edged"
	"edged/actors"
	"edged/query"
)

// testSetup parses a configuration that must be valid.
func testSetup(t *testing.T, text string, env ...string) *setup {
	t.Helper()
	s, err := parseSetup("test.yaml", []byte(text), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRoute(t *testing.T) {
	for _, c := range []struct {
		outputs, stream, topic, lateStream, lateTopic string
	}{
		{"    outputs: [{mqtt: {topic: \"agg/{key}\"}}]\n", "device-windows", "agg/d%2F1", "", ""},
		{"    outputs: [{stdout: {}}, {mqtt: {topic: \"agg/{key}\"}}]\n", "device-windows", "agg/d%2F1", "", ""},
		{"    outputs: [{stdout: {}}]\n    late_output: [{mqtt: {topic: \"late/{key}\"}}]\n", "device-windows", "", "device-windows.late", "late/d%2F1"},
	} {
		s := testSetup(t, document("", c.outputs))
		p := newPipeline(s.plans[0], "gw")
		stream, topic := p.Route(&edged.Result{Key: "d/1"})
		lateStream, lateTopic := p.Route(&edged.Result{Kind: edged.LateResult, Key: "d/1"})
		if stream != c.stream || topic != c.topic || lateStream != c.lateStream || lateTopic != c.lateTopic {
			t.Errorf("%s: %q %q, late %q %q", c.outputs, stream, topic, lateStream, lateTopic)
		}
	}
}

func TestDecodeTranslatesErrors(t *testing.T) {
	s := testSetup(t, strings.Replace(string(demoDocument), "    watermark:", "    filter: temp > 0\n    watermark:", 1))
	p := newPipeline(s.plans[0], "gw")
	clone := p.Clone().(*pipeline)
	for _, c := range []struct {
		payload string
		keep    bool
		cause   string
	}{
		{`{"device":"d","ts":1,"temp":1}`, true, ""},
		{`{"device":"d","ts":1,"temp":-1}`, false, ""},
		{`{"device":"d","temp":1}`, false, "missing_time"},
		{`nonsense`, false, "syntax"},
		{string(oversizeMark) + "\x80\x80\x40" + `{"device":"d","ts":1,"temp":1}`, false, "oversize"},
		{string(oversizeMark), false, "oversize"},
	} {
		for _, p := range []*pipeline{p, clone} {
			var ev edged.Event
			keep, poison := p.Decode(&ev, "sensors/d/data", []byte(c.payload))
			cause := ""
			if poison != nil {
				cause = poison.Cause
			}
			if keep != c.keep || cause != c.cause {
				t.Errorf("%q: keep %v, cause %q", c.payload, keep, cause)
			}
		}
	}
	if _, poison := p.Decode(&edged.Event{}, "", []byte(string(oversizeMark)+"\x80\x80\x40")); !strings.Contains(poison.Detail, "1048576 bytes") {
		t.Errorf("detail of an oversize message: %s", poison.Detail)
	}
}

func TestRestoreTranslatesErrors(t *testing.T) {
	s := testSetup(t, string(demoDocument))
	other := testSetup(t, string(demoDocument), "EDGED_WINDOW=7s")
	p, q := newPipeline(s.plans[0], "gw"), newPipeline(other.plans[0], "gw")
	state, err := p.NewTask("k").AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.NewTask("k").Restore(state); err != nil {
		t.Error(err)
	}
	if err := q.NewTask("k").Restore(state); !errors.Is(err, actors.ErrIncompatible) || !errors.Is(err, query.ErrIncompatible) {
		t.Errorf("restored by another pipeline: %v", err)
	}
	if err := p.NewTask("k").Restore(state[:3]); err == nil || errors.Is(err, actors.ErrIncompatible) {
		t.Errorf("restored from a damaged state: %v", err)
	}
}

func TestSubscriptionsAreMerged(t *testing.T) {
	source := func(topic string, qos byte) query.PipelineSpec {
		return query.PipelineSpec{Inputs: []query.InputSpec{{Source: query.SourceSpec{Topic: topic, QoS: qos}}}}
	}
	subs := subscriptions([]query.PipelineSpec{source("a/+", 0), source("b", 1), source("a/+", 1), source("b", 0)})
	if got := fmt.Sprint(subs); got != "[{a/+ 1} {b 1}]" {
		t.Errorf("subscriptions are %s", got)
	}
}

// TestFiltersMeet compares with trying all topics of a small alphabet.
func TestFiltersMeet(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	topics := allTopics(4)
	filter := func() string {
		var levels []string
		for range 1 + r.IntN(4) {
			levels = append(levels, []string{"a", "b", "+", "#"}[r.IntN(4)])
			if levels[len(levels)-1] == "#" {
				break
			}
		}
		return strings.Join(levels, "/")
	}
	met := 0
	plans := map[string]*query.Plan{}
	plan := func(filter string) *query.Plan {
		if plans[filter] == nil {
			plans[filter] = plainPlan(t, filter)
		}
		return plans[filter]
	}
	for range 2000 {
		a, b := filter(), filter()
		pa, pb := plan(a), plan(b)
		want := false
		for _, topic := range topics {
			want = want || pa.Accepts(topic) && pb.Accepts(topic)
		}
		if got := query.FiltersMeet(a, b); got != want {
			t.Fatalf("filters %s and %s: %v, but a common topic exists: %v", a, b, got, want)
		}
		if want {
			met++
		}
	}
	if met == 0 || met == 2000 {
		t.Errorf("%d of 2000 pairs meet: the test cannot fail", met)
	}
}

// allTopics returns every topic of up to depth levels over two names.
func allTopics(depth int) []string {
	level, all := []string{"a", "b"}, []string{"a", "b"}
	for range depth {
		var next []string
		for _, t := range level {
			next = append(next, t+"/a", t+"/b")
		}
		level, all = next, append(all, next...)
	}
	return all
}

func plainPlan(t *testing.T, topic string) *query.Plan {
	t.Helper()
	text := strings.Replace(string(demoDocument), "topic: sensors/+/data", `topic: "`+topic+`"`, 1)
	return testSetup(t, text).plans[0]
}

func TestConcreteTopicMatchesItsFilter(t *testing.T) {
	for _, filter := range []string{"a", "+", "#", "a/+/b", "a/#", "+/+/#"} {
		if topic := concreteTopic(filter); !plainPlan(t, filter).Accepts(topic) {
			t.Errorf("filter %s does not match %s", filter, topic)
		}
	}
}
