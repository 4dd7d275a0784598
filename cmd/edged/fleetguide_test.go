package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// guideFlag names a file for what the commands of the guide say: new output for the page.
var guideFlag = flag.String("guide.out", "", "write the guide's commands and their output to this file")

// guideStep is a command of the guide, and what the page says it says.
type guideStep struct {
	command string
	says    []string
}

// guideSteps returns the commands in a part of the page.
func guideSteps(part string) (steps []guideStep) {
	for line := range strings.Lines(part) {
		line = strings.TrimRight(line, "\n")
		text, block := strings.CutPrefix(line, "    ")
		command, prompt := strings.CutPrefix(text, "$ ")
		switch {
		case block && prompt:
			steps = append(steps, guideStep{command: command})
		case block && len(steps) > 0 && steps[len(steps)-1].command != "":
			last := &steps[len(steps)-1]
			last.says = append(last.says, text)
		default: // what follows is no output
			steps = append(steps, guideStep{})
		}
	}
	return steps
}

// masks take out of an output what is another one each time.
var masks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`edged-public:\S+`), "KEY"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{8}\b`), "HASH"},
	{regexp.MustCompile(`\b01[0-9A-Z]{24}\b`), "COMMAND"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`\(devel\)|v\d+\.\d+\.\d+\S*`), "VERSION"},
	{regexp.MustCompile(`\bgw-0\d\b`), "GATEWAY"},
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "INSTANCE"},
	{regexp.MustCompile(`"up_ms":\d+`), "UP"},
	{regexp.MustCompile(`"since":\d+`), "SINCE"},
	{regexp.MustCompile(`\S*/desired-\d+`), "FILE"},
	{regexp.MustCompile(` +`), " "},
}

func masked(line string) string {
	for _, m := range masks {
		line = m.pattern.ReplaceAllString(line, m.with)
	}
	return strings.TrimSpace(line)
}

// saysSo reports whether an output is what the page has, where "..." stands for any lines.
func saysSo(got, page []string) bool {
	switch {
	case len(page) == 0:
		return len(got) == 0
	case page[0] == "...":
		return saysSo(got, page[1:]) || len(got) > 0 && saysSo(got[1:], page)
	}
	return len(got) > 0 && masked(got[0]) == masked(page[0]) && saysSo(got[1:], page[1:])
}

// guide is somebody who does what the page says, with a mosquitto and gateways that are
// processes.
type guide struct {
	*yard
	work string
	env  []string
	out  strings.Builder
}

// shell prepares a command.
func (g *guide) shell(command string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = g.work, g.env
	return cmd
}

// run gives a command to a shell and returns what it says.
func (g *guide) run(command string) (says []string, code int) {
	g.t.Helper()
	cmd := g.shell(command)
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		g.t.Fatal(err)
	}
	fmt.Fprintf(&g.out, "    $ %s\n", command)
	for line := range strings.Lines(string(out)) {
		says = append(says, strings.TrimRight(line, "\n"))
		fmt.Fprintf(&g.out, "    %s\n", says[len(says)-1])
	}
	return says, cmd.ProcessState.ExitCode()
}

// launches starts the gateways with the settings that the page has.
func (g *guide) launches(page string, gateways int) {
	g.t.Helper()
	_, settings, found := strings.Cut(page, "    settings:\n")
	settings, _, ends := strings.Cut("settings:\n"+settings, "\n\n")
	if !found || !ends {
		g.t.Fatal("the guide has no settings")
	}
	settings = strings.ReplaceAll(settings, "\n    ", "\n")
	for i := range gateways {
		name := fmt.Sprintf("gw-0%d", i+1)
		g.certify(name)
		text := settings
		for from, to := range map[string]string{
			"/var/lib/edged": g.t.TempDir(), "tcp://localhost:1883": g.broker.URL(), "ssl://broker:8883": g.url, "ca.pem": g.file("ca.pem"),
			"gw-01.pem": g.file(name + ".pem"), "gw-01.key": g.file(name + ".key"), "root.json": filepath.Join(g.work, "root.json"), "gw-01": name,
		} {
			if !strings.Contains(settings, from) {
				g.t.Fatalf("the guide's settings do not have %s", from)
			}
			if from != "gw-01" {
				text = strings.ReplaceAll(text, from, to)
			}
		}
		text = strings.ReplaceAll(text, "gateway: gw-01", "gateway: "+name)
		if i%2 > 0 {
			text = strings.ReplaceAll(text, "site=berlin", "site=munich")
		}
		g.write(name+".yaml", text+"\n  gateway_id: "+name+"\n  http: {listen: \"\"}\n"+string(demoDocument))
		g.launch(g.file(name + ".yaml"))
	}
	g.until("all are online with the keyring", func() bool {
		list, err := g.shell("edged fleet list --json").CombinedOutput()
		g.must(err)
		return strings.Count(string(list), `"presence":"online"`) == gateways && strings.Count(string(list), `"keyring":1`) >= gateways
	})
}

// TestFleetGuide does what the page says from zero to a rollout, command by command, and
// compares what they say with what the page says they do.
func TestFleetGuide(t *testing.T) {
	t.Parallel()
	g := &guide{yard: newYard(t), work: t.TempDir()}
	g.certify("olga")
	bin := t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	g.must(err)
	g.must(os.WriteFile(filepath.Join(bin, "edged"), []byte("#!/bin/sh\n"+asProcess+"=1 exec "+self+" \"$@\"\n"), 0o700))
	g.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "EDGED_FLEET_HOME="+t.TempDir(), "EDGED_FLEET=plant7", "EDGED_FLEET_BROKER="+g.url,
		"EDGED_FLEET_CA="+g.file("ca.pem"), "EDGED_FLEET_CERT="+g.file("olga.pem"), "EDGED_FLEET_CERT_KEY="+g.file("olga.key"))
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "fleet.md"))
	g.must(err)
	_, part, _ := strings.Cut(string(page), "## From zero to a rollout\n")
	part, rest, _ := strings.Cut(part, "\n## ")
	_, two, _ := strings.Cut(rest, "**Two persons.**")
	two, _, _ = strings.Cut(two, "\n## ")
	_, site, _ := strings.Cut(part, "    {\"pipelines\"")
	site, _, _ = strings.Cut("{\"pipelines\""+site, "\n\n")
	for name, text := range map[string]string{
		"site.json": site, "next.json": strings.Replace(site, "60s", "30s", 1), "bad.json": strings.Replace(site, "tumbling", "falling", 1),
	} {
		g.must(os.WriteFile(filepath.Join(g.work, name), []byte(text), 0o600))
	}
	commands := 0
	for _, s := range append(guideSteps(part), guideSteps(two)...) {
		if s.command == "" || strings.HasPrefix(s.command, "export ") {
			continue
		}
		commands++
		says, code := g.run(s.command)
		if !saysSo(says, s.says) {
			t.Errorf("%s\nsays\n\t%s\nand the page has\n\t%s", s.command, strings.Join(says, "\n\t"), strings.Join(s.says, "\n\t"))
		}
		fails := len(s.says) > 0 && strings.HasPrefix(s.says[len(s.says)-1], "edged: ")
		if (code != 0) != fails {
			t.Errorf("%s: exit code %d", s.command, code)
		}
		if strings.HasSuffix(s.command, "> root.json") {
			g.launches(part, 8)
		}
	}
	if commands < 20 {
		t.Errorf("the guide has %d commands", commands)
	}
	if *guideFlag != "" {
		g.must(os.WriteFile(*guideFlag, []byte(g.out.String()), 0o600))
	}
}
