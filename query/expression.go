package query

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"edged"
)

// ExpressionBytesMax and expressionNodesMax bound what is compiled.
const (
	ExpressionBytesMax = 4096
	expressionNodesMax = 1000
)

// expression is a compiled expression. All numbers in it are float64.
type expression struct {
	program *vm.Program
	text    string
	kind    edged.Kind
	uses    []int // the fields it names, in ascending order
	names   []string
	slots   []int // of uses; set when slots are given out
}

// badExpression says what is wrong with an expression, and at which character.
type badExpression struct {
	offset  int
	message string
	hint    string
	unknown string // the name that is no field
}

// compileExpression compiles text over fields.
func compileExpression(text string, fields []field) (*expression, *badExpression) {
	if len(text) > ExpressionBytesMax {
		return nil, &badExpression{message: fmt.Sprintf("is %d bytes long, more than %d", len(text), ExpressionBytesMax)}
	}
	env := make(map[string]any, len(fields))
	for _, f := range fields {
		if f.name != "" {
			env[f.name] = sampleOf(f.kind)
		}
	}
	guard := &guard{fields: fields}
	options := append(functions(), expr.Env(env), expr.DisableAllBuiltins(), expr.MaxNodes(expressionNodesMax), expr.Patch(guard))
	program, err := expr.Compile(text, options...)
	if guard.bad != nil {
		return nil, guard.bad
	}
	if err != nil {
		return nil, explain(err)
	}
	e := &expression{program: program, text: text, uses: guard.uses}
	slices.Sort(e.uses)
	for _, i := range e.uses {
		e.names = append(e.names, fields[i].name)
	}
	if e.kind = kindOf(program.Node().Type()); e.kind == edged.Null {
		return nil, &badExpression{message: "is neither a number nor a text nor a bool"}
	}
	return e, nil
}

// explain turns an error of the compiler into ours.
func explain(err error) *badExpression {
	if at, ok := errors.AsType[*file.Error](err); ok {
		return newBadExpression(at.From, strings.TrimSpace(at.Message))
	}
	return newBadExpression(0, err.Error())
}

func newBadExpression(offset int, message string) *badExpression {
	if message == wideLiteral || strings.HasPrefix(message, "invalid integer literal") {
		return &badExpression{offset: offset, message: wideLiteral, hint: wideHint}
	}
	return &badExpression{offset: offset, message: message}
}

// sampleOf gives the compiler an example of a kind.
func sampleOf(k edged.Kind) any {
	switch k {
	case edged.Text:
		return ""
	case edged.Bool:
		return false
	}
	return 0.0
}

func kindOf(t reflect.Type) edged.Kind {
	if t == nil {
		return edged.Null
	}
	switch t.Kind() {
	case reflect.Float64:
		return edged.Number
	case reflect.String:
		return edged.Text
	case reflect.Bool:
		return edged.Bool
	}
	return edged.Null
}

// evaluator runs expressions. It is not safe for concurrent use.
type evaluator struct {
	machine vm.VM
	env     map[string]any
}

// run evaluates e over the values of an event. It returns Null when a field that
// e names is null. It fails when e divides the undividable: when the result is
// not finite.
func (v *evaluator) run(e *expression, values []edged.Value) (edged.Value, error) {
	for i, slot := range e.slots {
		switch value := values[slot]; value.Kind {
		case edged.Null:
			return edged.Value{}, nil
		case edged.Number:
			v.env[e.names[i]] = value.Float()
		case edged.Text:
			v.env[e.names[i]] = value.Text()
		case edged.Bool:
			v.env[e.names[i]] = value.Bool()
		}
	}
	result, err := v.machine.Run(e.program, v.env)
	if err != nil {
		return edged.Value{}, err
	}
	switch r := result.(type) {
	case float64:
		if value := edged.NumberValue(r); value.Kind == edged.Number {
			return value, nil
		}
		return edged.Value{}, fmt.Errorf("the result %v is not finite", r)
	case string:
		return edged.TextValue(r), nil
	case bool:
		return edged.BoolValue(r), nil
	}
	return edged.Value{}, fmt.Errorf("the result has the type %T", result)
}
