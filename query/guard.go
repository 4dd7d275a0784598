package query

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
)

// guard visits the tree of an expression before it is checked. It refuses what
// edged does not offer (closures, members, slices, variables: everything whose
// cost or result is not plain), collects the fields in use, and turns whole
// numbers into float64, so that 7/2 is 3.5 and a 32-bit gateway computes the same.
type guard struct {
	fields []field
	uses   []int
	bad    *badExpression
}

// wideLiteral is the compiler's message for whole numbers beyond its int. We give
// it for those beyond 32 bits, so that a document works everywhere or nowhere.
const (
	wideLiteral = "integer literal is too large"
	wideHint    = "write it with a point, such as 5000000000.0"
)

// Visit implements ast.Visitor.
func (g *guard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BoolNode, *ast.FloatNode, *ast.StringNode, *ast.ConditionalNode, *ast.ArrayNode:
	case *ast.IntegerNode:
		if int64(n.Value) > math.MaxInt32 { // 32-bit machines cannot read it
			g.refuse(n, wideLiteral)
		}
		ast.Patch(node, &ast.FloatNode{Value: float64(n.Value)})
	case *ast.IdentifierNode:
		g.identifier(n)
	case *ast.UnaryNode:
	case *ast.BinaryNode:
		g.binary(n)
	case *ast.CallNode:
		g.call(n)
	case *ast.BuiltinNode:
		g.refuse(n, "function %s is not offered", n.Name)
	default:
		g.refuse(n, "%q is not offered in expressions", n.String())
	}
}

func (g *guard) refuse(n ast.Node, format string, args ...any) {
	if g.bad == nil {
		g.bad = newBadExpression(n.Location().From, fmt.Sprintf(format, args...))
	}
}

func (g *guard) identifier(n *ast.IdentifierNode) {
	i := slices.IndexFunc(g.fields, func(f field) bool { return f.name == n.Value })
	switch {
	case i >= 0:
		if !slices.Contains(g.uses, i) {
			g.uses = append(g.uses, i)
		}
	case !slices.Contains(functionNames(), n.Value):
		if g.bad == nil {
			g.refuse(n, "there is no field %q", n.Value)
			s := scope{fields: g.fields}
			g.bad.hint, g.bad.unknown = Suggest(n.Value, s.names()), n.Value
		}
	}
}

func (g *guard) binary(n *ast.BinaryNode) {
	switch n.Operator {
	case "+", "-", "*", "/", "**", "^", "==", "!=", "<", "<=", ">", ">=",
		"and", "&&", "or", "||", "contains", "startsWith", "endsWith":
	case "in":
		if _, ok := n.Right.(*ast.ArrayNode); !ok {
			g.refuse(n.Right, "the right side of in must be a list such as [1, 2]")
		}
	case "matches":
		if _, ok := n.Right.(*ast.StringNode); !ok {
			g.refuse(n.Right, "the right side of matches must be a pattern in quotes")
		}
	default:
		g.refuse(n, "operator %s is not offered", n.Operator)
	}
}

func (g *guard) call(n *ast.CallNode) {
	if name, ok := n.Callee.(*ast.IdentifierNode); !ok || !slices.Contains(functionNames(), name.Value) {
		g.refuse(n, "%s is not a function; there are %s", n.Callee.String(), strings.Join(functionNames(), " "))
	}
}

// functionNames returns the functions that expressions can call.
func functionNames() []string {
	return []string{"abs", "ceil", "exp", "floor", "len", "log", "lower", "max", "min", "mod", "pow", "round", "sqrt", "trim", "upper"}
}

// reservedNames returns the words that cannot name a field.
func reservedNames() []string {
	return append(functionNames(), "and", "or", "not", "in", "let", "if", "else", "true", "false", "nil",
		"matches", "contains", "startsWith", "endsWith")
}

// functions declares them. They replace the library's own, whose results differ
// in type from case to case.
func functions() []expr.Option {
	one := func(name string, f func(float64) float64) expr.Option {
		return expr.Function(name, func(p ...any) (any, error) { return f(p[0].(float64)), nil }, f)
	}
	two := func(name string, f func(a, b float64) float64) expr.Option {
		return expr.Function(name, func(p ...any) (any, error) { return f(p[0].(float64), p[1].(float64)), nil }, f)
	}
	text := func(name string, f func(string) string) expr.Option {
		return expr.Function(name, func(p ...any) (any, error) { return f(p[0].(string)), nil }, f)
	}
	length := func(s string) float64 { return float64(utf8.RuneCountInString(s)) }
	return []expr.Option{
		one("abs", math.Abs), one("ceil", math.Ceil), one("exp", math.Exp), one("floor", math.Floor),
		one("log", math.Log), one("round", math.Round), one("sqrt", math.Sqrt),
		two("max", math.Max), two("min", math.Min), two("mod", math.Mod), two("pow", math.Pow),
		text("lower", strings.ToLower), text("trim", strings.TrimSpace), text("upper", strings.ToUpper),
		expr.Function("len", func(p ...any) (any, error) { return length(p[0].(string)), nil }, length),
	}
}
