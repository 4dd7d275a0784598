package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"edged/configs"
)

func load(t *testing.T, text string, env []string, args ...string) *configs.Settings {
	t.Helper()
	flags := pflag.NewFlagSet("edged", pflag.ContinueOnError)
	configs.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	settings, _, err := configs.Load("edged.yaml", []byte(text), env, flags)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func TestGoldenErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = configs.Load(filepath.Base(file), text, nil, nil)
		if err == nil {
			t.Errorf("%s: no error", file)
			continue
		}
		got := err.Error() + "\n"
		golden := strings.TrimSuffix(file, ".yaml") + ".txt"
		if *rewrite {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, _ := os.ReadFile(golden); got != string(want) {
			t.Errorf("%s: got\n%swant\n%s", file, got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	s := load(t, "", nil)
	if s.DataDir != "./edged-data" || s.GatewayID != "edged" || s.MQTT.URL != "tcp://127.0.0.1:1883" || s.MQTT.ClientID != "edged-edged" ||
		s.Upstream.URL != s.MQTT.URL || s.Upstream.ClientID != "edged-edged-up" || s.MQTT.KeepAlive != 30*time.Second ||
		s.MQTT.Pace != 5*time.Millisecond || s.MQTT.PacketBytesMax != 1<<20+64<<10 || s.Upstream.Window != 1000 ||
		s.HTTP.Listen != "127.0.0.1:9090" || s.Engine.CommitInterval != 50*time.Millisecond || s.Engine.EpochEventsMax != 2048 ||
		s.Engine.EpochBytesMax != 1<<20 || s.Engine.IntakeEventsMax != 16384 || s.Engine.IntakeBytesMax != 8<<20 ||
		s.Engine.TickInterval != 250*time.Millisecond || s.Engine.PassivateAfter != 5*time.Minute || s.Engine.ActiveKeysMax != 200000 ||
		s.Journal.SegmentBytes != 4<<20 || s.Journal.SweepBytes != 8<<20 || s.Outbox.BytesMax != 1<<30 ||
		s.DeadLetters.Max != 10000 || s.DeadLetters.SampleBytes != 4096 || s.Log.Level != "info" || s.Log.Format != "text" {
		t.Errorf("got %+v", s)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
}

func TestPrecedence(t *testing.T) {
	file := "settings: {mqtt: {url: \"tcp://file:1\"}, engine: {commit_interval: 20ms}}\n"
	env := []string{"EDGED_MQTT_URL=tcp://first:1", "EDGED_MQTT_URL=tcp://env:1", "EDGED_ENGINE_EPOCH_EVENTS_MAX=7", "NOISE", "=x=y"}
	s := load(t, file, nil)
	if s.MQTT.URL != "tcp://file:1" || s.Engine.CommitInterval != 20*time.Millisecond {
		t.Errorf("file over default: %+v", s)
	}
	s = load(t, file, env)
	if s.MQTT.URL != "tcp://env:1" || s.Engine.EpochEventsMax != 7 || s.Engine.CommitInterval != 20*time.Millisecond {
		t.Errorf("environment over file: %+v", s)
	}
	s = load(t, file, env, "--mqtt-url", "tcp://flag:1")
	if s.MQTT.URL != "tcp://flag:1" || s.Upstream.URL != "tcp://flag:1" || s.Engine.EpochEventsMax != 7 {
		t.Errorf("flag over environment: %+v", s)
	}
	// A flag at its default is a flag that was given.
	if s = load(t, file, env, "--mqtt-url", "tcp://127.0.0.1:1883"); s.MQTT.URL != "tcp://127.0.0.1:1883" {
		t.Errorf("flag with the default: %+v", s)
	}
}

func TestEmptyIsSet(t *testing.T) {
	if s := load(t, "settings: {http: {listen: \"0.0.0.0:1\"}}", []string{"EDGED_HTTP_LISTEN="}); s.HTTP.Listen != "" {
		t.Errorf("got %q", s.HTTP.Listen)
	}
	if s := load(t, "settings: {http: {listen: \"\"}}", nil); s.HTTP.Listen != "" {
		t.Errorf("got %q", s.HTTP.Listen)
	}
	_, _, err := configs.Load("f", nil, []string{"EDGED_MQTT_KEEP_ALIVE=", "EDGED_UPSTREAM_WINDOW=-1", "EDGED_LOG_LEVEL=INFO"}, nil)
	if err == nil || strings.Count(err.Error(), "EDGED_") != 3 {
		t.Errorf("got %v", err)
	}
}

func TestFlagErrorsNameTheFlag(t *testing.T) {
	flags := pflag.NewFlagSet("edged", pflag.ContinueOnError)
	configs.AddFlags(flags)
	if err := flags.Parse([]string{"--mqtt-pace", "2"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := configs.Load("f", nil, []string{"EDGED_MQTT_PACE=3s"}, flags); err == nil || !strings.Contains(err.Error(), "--mqtt-pace: ") {
		t.Errorf("got %v", err)
	}
	if flags.Lookup("mqtt-password") != nil {
		t.Error("there is a flag for a password")
	}
}

func TestPasswords(t *testing.T) {
	s := load(t, "settings: {mqtt: {username: u}}", []string{"EDGED_MQTT_PASSWORD=p w"})
	if s.MQTT.Password != "p w" || s.Upstream.Password != "p w" || s.Upstream.Username != "u" {
		t.Errorf("got %+v", s)
	}
	// Another broker does not get the credentials of the first.
	s = load(t, "settings: {mqtt: {username: u, password_file: f}, upstream: {url: \"tcp://other:1883\"}}", nil)
	if s.Upstream.Username != "" || s.Upstream.PasswordFile != "" {
		t.Errorf("got %+v", s.Upstream)
	}
	if _, _, err := configs.Load("f", nil, []string{"EDGED_MQTT_URL=tcp://u:secret@host:1"}, nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("password in a URL: got %v", err)
	}
	for _, env := range [][]string{{"EDGED_MQTT_PASSWORD=x"}, {"EDGED_MQTT_PASSWORD=x", "EDGED_MQTT_USERNAME=u", "EDGED_MQTT_PASSWORD_FILE=f"}} {
		if _, _, err := configs.Load("f", nil, env, nil); err == nil {
			t.Errorf("%v: no error", env)
		}
	}
}

// viper lower-cases keys, cuts them at dots and converts what it can. Nothing of
// that may reach a value.
func TestNoViperTraps(t *testing.T) {
	s := load(t, "settings: {gateway_id: Plant.7, data_dir: \"${DIR:/Data/A.B}\", mqtt: {client_id: \"007\", username: \"1e3\", ca_file: \"true\", url: \"ssl://Host:1\"}}", nil)
	if s.GatewayID != "Plant.7" || s.DataDir != "/Data/A.B" || s.MQTT.ClientID != "007" || s.MQTT.Username != "1e3" || s.MQTT.CAFile != "true" || s.MQTT.URL != "ssl://Host:1" {
		t.Errorf("got %+v", s)
	}
	if _, _, err := configs.Load("f", []byte("settings: {Data_Dir: x}"), nil, nil); err == nil || !strings.Contains(err.Error(), `did you mean "data_dir"?`) {
		t.Errorf("upper case: got %v", err)
	}
	if _, _, err := configs.Load("f", []byte("settings: {\"mqtt.url\": x}"), nil, nil); err == nil {
		t.Error("dotted key: no error")
	}
	if _, _, err := configs.Load("f", []byte("settings: {\"mqtt::url\": x}"), nil, nil); err == nil {
		t.Error("key with our delimiter: no error")
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]configs.Bytes{"0": 0, "4096": 4096, "4096B": 4096, "64KiB": 64 << 10, "4MiB": 4 << 20, "1 GiB": 1 << 30, "8388607TiB": 8388607 << 40} {
		if got, err := configs.ParseBytes(text); err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
		if got, err := configs.ParseBytes(configs.FormatBytes(want)); err != nil || got != want {
			t.Errorf("%s becomes %s", text, configs.FormatBytes(want))
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "1MB", "1mib", "8388608TiB", "0x10", "1e3"} {
		if got, err := configs.ParseBytes(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func TestExamplesLoad(t *testing.T) {
	files, _ := filepath.Glob("examples/*.yaml")
	if len(files) < 2 {
		t.Fatalf("there are %d examples", len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, doc, err := configs.Load(file, text, []string{"EDGED_WINDOW=1s", "EDGED_OUT_OF_ORDERNESS=0s"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		plans, err := doc.Compile(false)
		if err != nil {
			t.Fatal(err)
		}
		for _, plan := range plans {
			if plan.Name() == "device-windows" && (plan.Window.Size != 1000 || plan.Watermark.OutOfOrderness != 0 || plan.Watermark.IdleTimeout != 30000) {
				t.Errorf("got %+v %+v", plan.Window, plan.Watermark)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*.yaml", "examples/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text), "EDGED_MQTT_PACE=3ms")
		}
	}
	f.Fuzz(func(t *testing.T, text, env string) {
		settings, doc, err := configs.Load("f", []byte(text), []string{env}, nil)
		if err == nil && (settings.Validate() != nil || doc == nil) {
			t.Fatalf("%q, %q: %v", text, env, settings.Validate())
		}
	})
}
