package trust_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"edged/fleet/trust"
)

// Who may do what, by hand: the table of the package comment.
func TestRoles(t *testing.T) {
	classes := []trust.Class{trust.Read, trust.Operate, trust.Configure, trust.Dangerous, trust.Destructive}
	for role, want := range map[trust.Role]string{
		trust.Viewer:   "yes no no no no, desired no, time no, keyring no, cmd no",
		trust.Operator: "yes yes no no no, desired no, time no, keyring no, cmd no",
		trust.Deployer: "yes yes yes no no, desired yes, time no, keyring no, cmd no",
		trust.Admin:    "yes yes yes yes yes, desired yes, time no, keyring no, cmd no",
		trust.Clock:    "no no no no no, desired no, time yes, keyring no, cmd no",
		"root":         "no no no no no, desired no, time no, keyring no, cmd no",
		"":             "no no no no no, desired no, time no, keyring no, cmd no",
	} {
		word := map[bool]string{false: "no", true: "yes"}
		var got []string
		for _, c := range classes {
			got = append(got, word[role.MayCommand(c)])
		}
		line := strings.Join(got, " ")
		for _, typ := range []string{"desired", "time", "trust", "cmd"} {
			name := strings.Replace(typ, "trust", "keyring", 1)
			line += ", " + name + " " + word[role.MayIssue("application/vnd.edged."+typ+".v1+json")]
		}
		if line != want {
			t.Errorf("%s: %s, want %s", role, line, want)
		}
	}
	for i, c := range classes {
		if c.NeedsNonce() != (i >= 3) || c.Holders() != 1+i/4 {
			t.Errorf("%s: nonce %v, holders %d", c, c.NeedsNonce(), c.Holders())
		}
	}
}

// Grant counts persons that may do it here, not signatures.
func TestGrant(t *testing.T) {
	here := trust.Gateway{Fleet: "plant7", ID: "gw-1", Labels: map[string]string{"site": "berlin"}}
	key := func(holder, scope string, roles ...trust.Role) trust.Key {
		return trust.Key{Holder: holder, Scope: scope, Roles: roles}
	}
	for name, test := range map[string]struct {
		class   trust.Class
		signers []trust.Key
		want    error
	}{
		"nobody":                    {trust.Read, nil, trust.ErrRole},
		"a viewer reads":            {trust.Read, []trust.Key{key("a", "", trust.Viewer)}, nil},
		"a viewer operates":         {trust.Operate, []trust.Key{key("a", "", trust.Viewer)}, trust.ErrRole},
		"one of several roles":      {trust.Operate, []trust.Key{key("a", "", trust.Clock, trust.Operator)}, nil},
		"one of several signers":    {trust.Configure, []trust.Key{key("a", "", trust.Viewer), key("b", "", trust.Deployer)}, nil},
		"in scope":                  {trust.Operate, []trust.Key{key("a", "site=berlin", trust.Admin)}, nil},
		"out of scope":              {trust.Operate, []trust.Key{key("a", "site=paris", trust.Admin)}, trust.ErrRole},
		"one admin destroys":        {trust.Destructive, []trust.Key{key("a", "", trust.Admin)}, trust.ErrHolders},
		"two admins destroy":        {trust.Destructive, []trust.Key{key("a", "", trust.Admin), key("b", "", trust.Admin)}, nil},
		"two keys of one holder":    {trust.Destructive, []trust.Key{key("a", "", trust.Admin), key("a", "site", trust.Admin)}, trust.ErrHolders},
		"an admin and a deployer":   {trust.Destructive, []trust.Key{key("a", "", trust.Admin), key("b", "", trust.Deployer)}, trust.ErrHolders},
		"an admin and one far away": {trust.Destructive, []trust.Key{key("a", "", trust.Admin), key("b", "site=paris", trust.Admin)}, trust.ErrHolders},
		"one admin restarts":        {trust.Dangerous, []trust.Key{key("a", "", trust.Admin)}, nil},
	} {
		if err := trust.Grant(test.signers, test.class, here); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	far := key("a", "site=paris", trust.Deployer, trust.Clock)
	if near := key("a", "site=berlin", trust.Deployer); far.MayIssue(trust.TypeDesired, here) || !near.MayIssue(trust.TypeDesired, here) {
		t.Error("scope of documents")
	}
}

func TestAudience(t *testing.T) {
	here := trust.Gateway{Fleet: "plant7", ID: "gw-1", Instance: "i1", Labels: map[string]string{"site": "berlin"}}
	for name, test := range map[string]struct {
		aud      trust.Audience
		complete bool
		meant    bool
	}{
		"this one":           {trust.Audience{Fleet: "plant7", Gateway: "gw-1"}, true, true},
		"another":            {trust.Audience{Fleet: "plant7", Gateway: "gw-2"}, true, false},
		"another's prefix":   {trust.Audience{Fleet: "plant7", Gateway: "gw-"}, true, false},
		"another fleet":      {trust.Audience{Fleet: "plant8", Gateway: "gw-1"}, true, false},
		"this instance":      {trust.Audience{Fleet: "plant7", Gateway: "gw-1", Instance: "i1"}, true, true},
		"another instance":   {trust.Audience{Fleet: "plant7", Gateway: "gw-1", Instance: "i2"}, true, false},
		"all":                {trust.Audience{Fleet: "plant7", Selector: "*"}, true, true},
		"all of another":     {trust.Audience{Fleet: "plant8", Selector: "*"}, true, false},
		"selected":           {trust.Audience{Fleet: "plant7", Selector: "site=berlin"}, true, true},
		"not selected":       {trust.Audience{Fleet: "plant7", Selector: "site=paris"}, true, false},
		"nobody":             {trust.Audience{Fleet: "plant7"}, false, false},
		"no fleet":           {trust.Audience{Gateway: "gw-1"}, false, false},
		"both":               {trust.Audience{Fleet: "plant7", Gateway: "gw-1", Selector: "*"}, false, true},
		"instance of many":   {trust.Audience{Fleet: "plant7", Instance: "i1", Selector: "*"}, false, true},
		"no selector":        {trust.Audience{Fleet: "plant7", Selector: "site=="}, false, false},
		"a wildcard":         {trust.Audience{Fleet: "plant7", Gateway: "+"}, false, false},
		"topic of the house": {trust.Audience{Fleet: "plant7", Gateway: "_group"}, false, false},
	} {
		if err := test.aud.Check(); (err == nil) != test.complete {
			t.Errorf("%s: check %v", name, err)
		}
		if err := test.aud.Includes(here); (err == nil) != test.meant || err != nil && !errors.Is(err, trust.ErrAudience) {
			t.Errorf("%s: includes %v", name, err)
		}
	}
}

// A selector and a condition that is built beside it from the same words agree.
func TestSelectorAgainstCondition(t *testing.T) {
	random := chance(t, 1)
	names, values := []string{"site", "tier", "line"}, []string{"a", "b"}
	for range 3000 {
		labels := map[string]string{}
		for _, name := range names {
			if random.IntN(2) == 0 {
				labels[name] = pick(random, values)
			}
		}
		var terms []string
		want := true
		for range 1 + random.IntN(3) {
			name, value := pick(random, names), pick(random, values)
			have, exists := labels[name]
			switch random.IntN(4) {
			case 0:
				terms, want = append(terms, name+"="+value), want && have == value
			case 1:
				terms, want = append(terms, name+"!="+value), want && have != value
			case 2:
				terms, want = append(terms, name), want && exists
			case 3:
				terms, want = append(terms, "!"+name), want && !exists
			}
		}
		s, err := trust.ParseSelector(strings.Join(terms, ","))
		if err != nil || s.Selects(labels) != want {
			t.Fatalf("%v with %v: %v, %v, want %v", terms, labels, s.Selects(labels), err, want)
		}
	}
	for _, text := range []string{"", ",", "a,", "=a", "a=", "a==b", "a!", "!", "!!a", "a=b=c", "*,a", "a b", "ä", strings.Repeat("a", 65)} {
		if _, err := trust.ParseSelector(text); !errors.Is(err, trust.ErrSelector) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if (trust.Selector{}).Selects(nil) {
		t.Error("the zero selector selects")
	}
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

func FuzzParseSelector(f *testing.F) {
	for _, text := range []string{"*", "site=berlin,tier!=canary,!x,y", "a==b", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := trust.ParseSelector(text)
		if err == nil && s.Selects(nil) && strings.Contains(strings.ReplaceAll(text, "!=", ""), "=") {
			t.Fatalf("%q selects without labels", text)
		}
	})
}
