package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"edged/query"
)

// delimiter separates the parts of viper's keys. The usual dot would cut names
// that hold one.
const delimiter = "::"

// AddFlags defines a flag for every setting that may stand on a command line.
func AddFlags(flags *pflag.FlagSet) {
	for _, s := range table(&Settings{}) {
		if !s.secret {
			flags.String(s.flag(), s.value, firstSentence(s.doc)+" ["+s.env()+"]")
		}
	}
}

func firstSentence(doc string) string {
	first, _, _ := strings.Cut(doc, ". ")
	return strings.TrimSuffix(first, ".") + "."
}

// Load reads a configuration file. file names it in errors, text is what it
// holds; env has the form of os.Environ, of which the last entry of a name counts;
// flags may be nil, and need not define all flags of [AddFlags].
//
// The error is a [query.Errors] that holds every fault. The pipelines are read but
// not compiled.
func Load(file string, text []byte, env []string, flags *pflag.FlagSet) (*Settings, *query.Document, error) {
	variables := environment(env)
	lookup := func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
	doc, err := query.Parse(file, text, lookup)
	faults, _ := errors.AsType[query.Errors](err)
	l := &loader{file: file, errors: faults, env: variables, flags: flags, places: map[string]*yaml.Node{}}
	settings := l.load(doc.Settings)
	if err := l.errors.Err(); err != nil {
		return nil, nil, err
	}
	return settings, doc, nil
}

func environment(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			m[name] = value
		}
	}
	return m
}

// loader lays the sources of settings over each other.
type loader struct {
	file   string
	errors query.Errors
	env    map[string]string
	flags  *pflag.FlagSet
	places map[string]*yaml.Node // of the settings in the file
}

func (l *loader) load(section *yaml.Node) *Settings {
	settings := &Settings{}
	list := table(settings)
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	if section != nil {
		l.read(section, "settings", list)
	}
	for i := range list {
		l.layer(v, &list[i])
	}
	for i := range list {
		if err := list[i].assign(v.GetString(list[i].key())); err != nil {
			l.fault(&list[i], err)
		}
	}
	if len(l.errors) == 0 {
		settings.derive()
		for _, f := range settings.faults() {
			l.fault(&list[slices.IndexFunc(list, func(s setting) bool { return s.path == f.path })], f.err)
		}
	}
	return settings
}

// layer gives viper the values of one setting. They are all texts: viper orders
// them, and the table gives them meaning.
func (l *loader) layer(v *viper.Viper, s *setting) {
	v.SetDefault(s.key(), s.value)
	if n := l.places[s.path]; n != nil {
		l.merge(v, s, n.Value)
	}
	if value, ok := l.env[s.env()]; ok {
		l.merge(v, s, value)
	}
	if l.flags == nil {
		return
	}
	if f := l.flags.Lookup(s.flag()); f != nil && !s.secret {
		if err := v.BindPFlag(s.key(), f); err != nil {
			l.fault(s, err)
		}
	}
}

// merge lays a value over those that viper has.
func (l *loader) merge(v *viper.Viper, s *setting, value string) {
	var tree any = value
	names := strings.Split(s.path, ".")
	for _, name := range slices.Backward(names) {
		tree = map[string]any{name: tree}
	}
	if err := v.MergeConfigMap(tree.(map[string]any)); err != nil {
		l.fault(s, err)
	}
}

// read walks the settings section and notes where every setting stands.
func (l *loader) read(n *yaml.Node, path string, list []setting) {
	if n.Kind != yaml.MappingNode {
		l.faultAt(n, path, "", "must be a map of keys")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		sub := path + "." + name.Value
		known := namesBelow(list, strings.TrimPrefix(strings.TrimPrefix(path, "settings"), "."))
		switch {
		case seen[name.Value]:
			l.faultAt(name, sub, "", "is given twice")
		case !slices.Contains(known, name.Value):
			l.faultAt(name, sub, query.Suggest(name.Value, known), "unknown key")
		default:
			l.readValue(value, sub, list)
		}
		seen[name.Value] = true
	}
}

func (l *loader) readValue(n *yaml.Node, path string, list []setting) {
	own := strings.TrimPrefix(path, "settings.")
	i := slices.IndexFunc(list, func(s setting) bool { return s.path == own })
	switch {
	case i < 0:
		l.read(n, path, list)
	case list[i].secret:
		l.faultAt(n, path, "put it into a file named by password_file, or into "+list[i].env(), "a password must not stand here")
	case n.Kind != yaml.ScalarNode:
		l.faultAt(n, path, "", "must be a %s", list[i].kind())
	case n.ShortTag() == "!!null":
		l.faultAt(n, path, `write "" for an empty text, or leave the key out`, "has no value")
	default:
		l.places[own] = n
	}
}

// namesBelow returns the names of the settings and sections right below path.
func namesBelow(list []setting, path string) []string {
	var names []string
	for _, s := range list {
		rest := s.path
		if path != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(s.path, path+"."); !ok {
				continue
			}
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// fault reports a wrong value where it was given.
func (l *loader) fault(s *setting, err error) {
	_, inEnv := l.env[s.env()]
	switch {
	case l.flags != nil && l.flags.Changed(s.flag()):
		l.errors = append(l.errors, &query.Error{Path: "--" + s.flag(), Message: err.Error()})
	case inEnv:
		l.errors = append(l.errors, &query.Error{Path: s.env(), Message: err.Error()})
	case l.places[s.path] != nil:
		l.faultAt(l.places[s.path], "settings."+s.path, "", "%s", err)
	default:
		l.errors = append(l.errors, &query.Error{File: l.file, Path: "settings." + s.path, Message: err.Error()})
	}
}

func (l *loader) faultAt(n *yaml.Node, path, hint, format string, args ...any) {
	l.errors = append(l.errors, &query.Error{
		File: l.file, Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}
