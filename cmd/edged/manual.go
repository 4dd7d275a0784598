package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const manualLong = `Print the manual page of a command, or of edged itself, in the form that man
reads. With --dir it writes the pages of all commands, and completions for bash,
zsh and fish, below a folder as they stand below /usr/share. The package brings
them; this is for a binary that came alone.`

const manualExample = `  edged manual run | man -l -

  sudo edged manual --dir /usr/local/share`

func newManualCmd() *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: "manual [COMMAND]", Short: "manual pages and completions", Long: manualLong, Example: manualExample}
	cmd.Flags().StringVar(&dir, "dir", "", "write all pages and completions below this folder")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root := cmd.Root()
		if dir != "" {
			if len(args) > 0 {
				return failed(exitUsage, errors.New("give a command or --dir, not both"))
			}
			return writeManual(dir, root)
		}
		of, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return failed(exitUsage, fmt.Errorf("there is no command %q; see edged --help", strings.Join(args, " ")))
		}
		_, err = io.WriteString(cmd.OutOrStdout(), manualPage(of))
		return err
	}
	return cmd
}

// writeManual writes pages and completions where man and the shells look for them.
func writeManual(dir string, root *cobra.Command) error {
	write := func(text string, path ...string) error {
		name := filepath.Join(append([]string{dir}, path...)...)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("write the manual: %w", err)
		}
		return os.WriteFile(name, []byte(text), 0o644)
	}
	for _, c := range documented(root) {
		if err := write(manualPage(c), "man", "man1", pageName(c)+".1"); err != nil {
			return err
		}
	}
	var bash, zsh, fish strings.Builder
	err := errors.Join(root.GenBashCompletionV2(&bash, true), root.GenZshCompletion(&zsh), root.GenFishCompletion(&fish, true))
	return errors.Join(err,
		write(bash.String(), "bash-completion", "completions", "edged"),
		write(zsh.String(), "zsh", "vendor-completions", "_edged"),
		write(fish.String(), "fish", "vendor_completions.d", "edged.fish"))
}

// documented returns a command and all below it that have a page.
func documented(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if !sub.Hidden && (sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand()) && sub.Name() != "help" && sub.Name() != "completion" {
			all = append(all, documented(sub)...)
		}
	}
	return all
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manualPage writes the page of one command. It says what --help says, with all
// settings among the options, and it has no date: the same binary writes the
// same bytes.
func manualPage(c *cobra.Command) string {
	p := &manPage{}
	p.line(`.TH "%s" "1" "" "edged %s" "edged"`, strings.ToUpper(pageName(c)), buildVersion())
	p.line(".nh\n.ad l") // no hyphens in names, no stretched lines
	p.section("NAME")
	p.line(`%s \- %s`, roff(pageName(c)), roff(c.Short))
	if c.Runnable() || c.HasAvailableSubCommands() {
		p.section("SYNOPSIS")
		p.line(`.B %s`, roff(c.UseLine()))
		if c.HasAvailableSubCommands() {
			p.line(`.br`)
			p.line(`.B %s \fICOMMAND\fR`, roff(c.CommandPath()))
		}
	}
	p.section("DESCRIPTION")
	p.text(c.Long)
	subs := documented(c)[1:]
	if c.HasSubCommands() {
		p.section("COMMANDS")
		for _, sub := range subs {
			if sub.Parent() == c {
				p.line(".TP\n.BR %s (1)\n%s", roff(pageName(sub)), roff(sub.Short))
			}
		}
	}
	p.options(c)
	if c.Example != "" {
		p.section("EXAMPLES")
		p.literal(c.Example)
	}
	p.section("EXIT STATUS")
	if c.HasParent() {
		p.line("0 when it is done; the other codes are in\n.BR edged-exit-codes (1).")
	} else {
		p.text(exitCodesText)
	}
	p.section("FILES")
	p.line(".TP\n.I %s\nthe configuration of the service\n.TP\n.I /var/lib/edged\nits data directory", roff(packagedConfig))
	p.section("SEE ALSO")
	if c.HasParent() {
		p.line(".BR edged (1)")
	} else {
		p.line("The configuration is described in\n.I /usr/share/doc/edged/configuration.md")
	}
	return p.b.String()
}

// manPage is a page being written.
type manPage struct{ b strings.Builder }

func (p *manPage) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func (p *manPage) section(name string) { p.line(`.SH "%s"`, name) }

// text writes paragraphs; those that are indented keep their lines.
func (p *manPage) text(text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		switch {
		case strings.HasPrefix(paragraph, " "):
			p.literal(paragraph)
			continue
		case i > 0:
			p.line(".PP")
		}
		for line := range strings.Lines(paragraph) {
			p.line("%s", roff(strings.TrimRight(line, "\n")))
		}
	}
}

// literal writes lines as they are.
func (p *manPage) literal(text string) {
	p.line(".PP\n.RS 2\n.nf")
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		p.line("%s", roff(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  ")))
	}
	p.line(".fi\n.RE")
}

// options writes the flags: those that help shows, then the settings, which it
// hides where they are many.
func (p *manPage) options(c *cobra.Command) {
	var shown, hidden []*pflag.Flag
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			hidden = append(hidden, f)
		} else {
			shown = append(shown, f)
		}
	})
	for _, group := range []struct {
		title string
		flags []*pflag.Flag
	}{{"OPTIONS", shown}, {"SETTINGS", hidden}} {
		if len(group.flags) == 0 {
			continue
		}
		p.section(group.title)
		for _, f := range group.flags {
			p.option(f)
		}
	}
}

func (p *manPage) option(f *pflag.Flag) {
	kind, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if kind != "" {
		kind = ` \fI` + roff(kind) + `\fR`
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
		usage += " (default " + f.DefValue + ")"
	}
	p.line(".TP\n\\fB%s\\fR%s\n%s", roff(name), kind, roff(usage))
}

// roff escapes a text so that it stands for itself.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `"`, `\(dq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text // else it would be a command
	}
	return text
}
