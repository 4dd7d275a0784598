package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"edged/configs"
	"edged/fleet/agent"
)

// logs is the logger of a daemon, whose level can be changed for a while, and the newest
// lines of which are kept.
type logs struct {
	logger *slog.Logger
	level  *slog.LevelVar
	ring   *logRing // nil: there is no management that could ask for it

	mu     sync.Mutex
	usual  slog.Level
	revert *time.Timer // nil: the level is the usual one
}

// newLogs makes the logger that the settings ask for.
func newLogs(s *configs.Settings, cmd *cobra.Command) *logs {
	l := &logs{level: new(slog.LevelVar)}
	// The settings admit only names of levels.
	_ = l.usual.UnmarshalText([]byte(s.Log.Level))
	l.level.Set(l.usual)
	options := &slog.HandlerOptions{Level: l.level}
	handler := logHandler(cmd.ErrOrStderr(), s.Log.Format, options)
	if s.Fleet.Name != "" {
		l.ring = &logRing{bytesMax: int(s.Fleet.LogTailBytes)}
		handler = slog.NewMultiHandler(handler, logHandler(l.ring, s.Log.Format, options))
	}
	l.logger = slog.New(handler)
	return l
}

func logHandler(w io.Writer, format string, options *slog.HandlerOptions) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// set changes the level for a while; another call replaces it.
func (l *logs) set(level slog.Level, d time.Duration) (before slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before = l.level.Level()
	l.level.Set(level)
	if l.revert != nil {
		l.revert.Stop()
		l.revert = nil
	}
	if level == l.usual {
		return before
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		l.mu.Lock()
		mine := l.revert == timer
		if mine {
			l.level.Set(l.usual)
			l.revert = nil
		}
		l.mu.Unlock()
		if mine {
			l.logger.Warn("log level reverted", "level", l.usual)
		}
	})
	l.revert = timer
	return before
}

// The bounds of a changed log level.
const (
	logLevelDefault = 10 * time.Minute
	logLevelMax     = 24 * time.Hour
)

// logLevelArgs are the arguments of log.level.
type logLevelArgs struct {
	Level string `json:"level"`
	For   int64  `json:"for_ms"`
}

// Check returns what is wrong with them.
func (a logLevelArgs) Check() error {
	var level slog.Level
	if a.For < 0 || a.For > logLevelMax.Milliseconds() {
		return fmt.Errorf("for_ms: %d is not within 0 and %d", a.For, logLevelMax.Milliseconds())
	}
	if err := level.UnmarshalText([]byte(a.Level)); err != nil {
		return fmt.Errorf("level: %q is none of debug, info, warn, error", a.Level)
	}
	return nil
}

// logLevelResult is the result of log.level.
type logLevelResult struct {
	Level   string `json:"level"`
	Before  string `json:"before"`
	Reverts int64  `json:"reverts_in_ms"` // 0: it is the usual one
}

func (m *managed) setLogLevel(_ context.Context, _ *agent.Call, args logLevelArgs) (any, error) {
	var level slog.Level
	// Check has read it already.
	_ = level.UnmarshalText([]byte(args.Level))
	d := cmp.Or(time.Duration(args.For)*time.Millisecond, logLevelDefault)
	r := logLevelResult{Level: level.String(), Before: m.logs.set(level, d).String()}
	if level != m.logs.usual {
		r.Reverts = d.Milliseconds()
	}
	m.logs.logger.Warn("log level changed", "level", level, "for", d)
	return r, nil
}

// logRing keeps the newest lines that were written to it.
type logRing struct {
	bytesMax int

	mu      sync.Mutex
	lines   []string
	bytes   int
	dropped int64
}

// Write implements io.Writer; slog writes one line at a time.
func (r *logRing) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := string(p)
	if len(line) > r.bytesMax {
		line = line[:r.bytesMax]
	}
	r.lines = append(r.lines, line)
	r.bytes += len(line)
	for r.bytes > r.bytesMax {
		r.bytes -= len(r.lines[0])
		r.lines[0] = "" // the array under the slice is kept for a while
		r.lines = r.lines[1:]
		r.dropped++
	}
	return len(p), nil
}

// tail returns the newest lines that fit into so many bytes.
func (r *logRing) tail(bytesMax int) (lines []string, older int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size, from := 0, len(r.lines)
	for from > 0 && size+len(r.lines[from-1]) <= bytesMax {
		from--
		size += len(r.lines[from])
	}
	return append([]string{}, r.lines[from:]...), r.dropped + int64(from)
}

const (
	logTailDefault = 16 << 10
	logTailMax     = 64 << 10
)

// logTailArgs are the arguments of log.tail.
type logTailArgs struct {
	Bytes int `json:"bytes"`
}

// Check returns what is wrong with them.
func (a logTailArgs) Check() error { return bounded("bytes", a.Bytes, logTailMax) }

// logTailResult is the result of log.tail.
type logTailResult struct {
	Lines []string `json:"lines"`
	Older int64    `json:"older"` // lines before them since the start
}

func (m *managed) tailLog(_ context.Context, _ *agent.Call, args logTailArgs) (any, error) {
	lines, older := m.logs.ring.tail(cmp.Or(args.Bytes, logTailDefault))
	return logTailResult{Lines: lines, Older: older}, nil
}

// bounded returns an error unless a number is from 0 to most.
func bounded(name string, value, most int) error {
	if value < 0 || value > most {
		return fmt.Errorf("%s: %d is not within 0 and %d", name, value, most)
	}
	return nil
}
