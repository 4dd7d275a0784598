package mqtt

import (
	"errors"
	"strings"
	"testing"
	"time"

	"edged"
)

func TestConfigValidate(t *testing.T) {
	good := Config{URL: "tcp://broker", ClientID: "gw"}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // part of the error; "": valid
	}{
		"zero values":      {func(c *Config) {}, ""},
		"tls port":         {func(c *Config) { c.URL = "mqtts://broker:1234" }, ""},
		"no pace":          {func(c *Config) { c.Pace = -1 }, ""},
		"scheme":           {func(c *Config) { c.URL = "http://broker" }, `"http"`},
		"no host":          {func(c *Config) { c.URL = "tcp://:1883" }, "no host"},
		"no url":           {func(c *Config) { c.URL = "" }, "scheme"},
		"credentials":      {func(c *Config) { c.URL = "tcp://a:b@broker" }, "credentials"},
		"path":             {func(c *Config) { c.URL = "tcp://broker/x" }, "only scheme"},
		"bad url":          {func(c *Config) { c.URL = "tcp://bro ker:x" }, "mqtt url"},
		"keep-alive":       {func(c *Config) { c.KeepAlive = time.Millisecond }, "keep-alive"},
		"long keep-alive":  {func(c *Config) { c.KeepAlive = 70_000 * time.Second }, "keep-alive"},
		"connect timeout":  {func(c *Config) { c.ConnectTimeout = -1 }, "connect timeout"},
		"reconnect":        {func(c *Config) { c.ReconnectMin, c.ReconnectMax = 2, 1 }, "reconnect"},
		"only a high min":  {func(c *Config) { c.ReconnectMin = time.Hour }, ""},
		"small packets":    {func(c *Config) { c.PacketBytesMax = 10 }, "packet limit"},
		"pace":             {func(c *Config) { c.Pace = time.Minute }, "pace"},
		"password alone":   {func(c *Config) { c.Password = "secret" }, "without username"},
		"endless username": {func(c *Config) { c.Username = strings.Repeat("u", 70_000) }, "longer than"},
	} {
		cfg := good
		c.change(&cfg)
		err := cfg.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
	two := Config{URL: "x://h", Pace: time.Hour}.Validate()
	if two == nil || !strings.Contains(two.Error(), "x://h") || !strings.Contains(two.Error(), "pace") {
		t.Errorf("not all faults are reported: %v", two)
	}
}

func TestSubscriptionValidate(t *testing.T) {
	for filter, ok := range map[string]bool{
		"a/b": true, "#": true, "a/#": true, "+/b/+": true, "/": true, "$SYS/#": true,
		"": false, "a/#/b": false, "a+": false, "a/b#": false, "a\x00b": false, "\xff": false,
		strings.Repeat("x", 65536): false,
	} {
		if err := (Subscription{Filter: filter, QoS: 1}).Validate(); (err == nil) != ok {
			t.Errorf("filter %.20q: %v", filter, err)
		}
	}
	for _, qos := range []byte{2, 3} {
		_, err := NewSource(Config{URL: "tcp://h", ClientID: "c"}, []Subscription{{Filter: "a", QoS: qos}})
		if err == nil || !strings.Contains(err.Error(), "QoS") {
			t.Errorf("QoS %d: %v", qos, err)
		}
	}
	if _, err := NewSource(Config{URL: "tcp://h"}, nil); err == nil || !strings.Contains(err.Error(), "client id") || !strings.Contains(err.Error(), "without subscription") {
		t.Errorf("source of nothing: %v", err)
	}
}

func TestUnsendable(t *testing.T) {
	p, err := NewPublisher(Config{URL: "tcp://h", PacketBytesMax: 2048})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]edged.Row{
		"wildcard": {Topic: "a/+"}, "empty": {}, "nul": {Topic: "a\x00"}, "utf8": {Topic: "\xff"},
		"size": {Topic: "a", Payload: make([]byte, 2048)},
	} {
		if err := p.Send([]edged.Row{{Topic: "ok"}, row}); !errors.Is(err, ErrUnsendable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.Send([]edged.Row{{Topic: "ok"}}); !errors.Is(err, ErrDown) {
		t.Errorf("good row: %v, want ErrDown", err)
	}
}

func TestInternTable(t *testing.T) {
	table := topics{}
	for i := range 3 * topicsMax {
		name := strings.Repeat("x", i%300) + string(rune('a'+i%26)) + time.Duration(i).String()
		if got := table.intern([]byte(name)); got != name {
			t.Fatalf("%q became %q", name, got)
		}
		if len(table) > topicsMax {
			t.Fatalf("%d names", len(table))
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.intern([]byte("a/b")) }); n != 0 {
		t.Errorf("%v allocations for a known name", n)
	}
}

func TestBrokerAdvice(t *testing.T) {
	if a := BrokerAdvice("mosquitto version 2.0.11"); !strings.Contains(a, "max_queued_messages 0") {
		t.Error(a)
	}
	if a := BrokerAdvice("other 1.0"); a != "" {
		t.Error(a)
	}
}
