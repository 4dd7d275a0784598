package configs

import (
	"time"

	"edged/query"
)

func duration(ns int64) string { return query.FormatDuration(time.Duration(ns)) }

// The texts between the tables of the reference.
const (
	referenceHead = `# Configuration

This page is printed from the program's own tables (` + "`go test ./configs -run Reference -rewrite`" + `). Do not edit it.

edged reads one YAML file: ` + "`edged run --config FILE`" + `. It has two sections, ` + "`settings`" + ` for the
daemon and ` + "`pipelines`" + ` for what is computed. ` + "`" + `settings` + "`" + ` may be left out. ` + "`edged validate --config FILE`" + ` reports
every fault at once, with line and column. Complete examples are in ` + "`configs/examples`" + `.

- Unknown keys, repeated keys and values of the wrong type are errors.
- Durations carry their unit: ` + "`500ms` `10s` `1m` `1h30m` `1d`" + `. Sizes may: ` + "`4096` `64KiB` `4MiB`" + `.
- ` + "`${NAME}`" + ` in a value stands for an environment variable, ` + "`${NAME:default}`" + ` for one that may be
  unset, and ` + "`$${`" + ` for the characters ` + "`${`" + `. Between ` + "`{` and `}`" + ` such a value needs quotes.
- Anchors and aliases are not supported. A file has at most 1 MiB.

`
	settingsText = `Defaults go before nothing, the file goes before defaults, the environment before the file, and flags
before everything. The flag of a key is its path with dashes: ` + "`mqtt.keep_alive`" + ` is ` + "`--mqtt-keep-alive`" + `.
Passwords cannot stand in the file or on the command line. A variable that is set but empty counts as set.

`
	pipelinesText = `` + "`[]`" + ` stands for any item of a list. Paths of members in payloads are names from the outermost object
inwards, separated by dots; where a declared field's name stands, its path is meant.

Expressions know numbers (all of them float64), texts and bools: ` + "`+ - * / **`" + `, comparisons, ` + "`and or not`" + `,
` + "`a ? b : c`" + `, ` + "`in [1, 2]`" + `, ` + "`contains startsWith endsWith`" + `, ` + "`matches \"pattern\"`" + `, and the functions
` + "`abs ceil exp floor len log lower max min mod pow round sqrt trim upper`" + `. An expression that names a null
field is null: a filter then drops the event, and a computed field is null. Whole numbers beyond 2147483647
are written with a point: ` + "`5000000000.0`" + `.

`
	causesText = `Such an event goes to the dead letters with its cause, and is counted under it. It changes no state.

`
)
