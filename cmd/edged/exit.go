package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"edged/actors"
	"edged/persistence"
)

// The exit codes. Scripts and service managers rely on them.
const (
	exitOK         = 0
	exitUnexpected = 1
	exitUsage      = 2
	exitConfig     = 3
	exitInUse      = 4
	exitStore      = 5
	exitConnect    = 6
	exitCheck      = 7
	exitRestart    = 8
)

const exitCodesText = `Every command ends with one of these codes:

  0  done, or stopped by a signal after draining
  1  unexpected: a defect of edged, or of the machine
  2  usage: a wrong flag or argument
  3  configuration: it is invalid or cannot be read, or it does not fit what is
     stored in the data directory
  4  the data directory is in use by another process
  5  the store, or a file that results go to, is damaged or cannot be written;
     edged run recovers from the disk when it is started again
  6  a broker cannot be reached or an address cannot be listened on. edged run
     does not end for an absent broker: it waits for it
  7  a check that was asked for failed: replay --strict met dead letters,
     drive met a line that is no step or a state that does not come back,
     inspect met damage, demo met a result that is wrong or missing, doctor found
     a problem, fleet met a gateway that failed, refused or did not answer
  8  a command of the fleet's operators asks for a restart: whoever supervises edged
     starts it again, as systemd does with Restart=on-failure

A second signal ends edged run at once; nothing durable is lost by that.`

// exitError is an error that says what the process ends with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }
func (e *exitError) ExitCode() int { return e.code }

// failed gives err an exit code; nil stays nil.
func failed(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: code, err: err}
}

// exitCode returns the code of an error: its own, or that of its kind.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, &coded):
		return coded.ExitCode()
	case errors.Is(err, persistence.ErrInUse):
		return exitInUse
	case errors.Is(err, actors.ErrIncompatible):
		return exitConfig
	case errors.Is(err, persistence.ErrCorrupt), errors.Is(err, persistence.ErrFailed):
		return exitStore
	case strings.HasPrefix(err.Error(), "unknown command"): // cobra has no type for it
		return exitUsage
	}
	return exitUnexpected
}

// storeFailed gives an error of opening or reading a store its code, and says
// what to do about damage.
func storeFailed(err error) error {
	if errors.Is(err, persistence.ErrInUse) {
		return err // its text says what to do
	}
	if errors.Is(err, persistence.ErrCorrupt) {
		err = fmt.Errorf("%w: run 'edged inspect DIR' to see what is damaged; restore a backup", err)
	}
	return failed(exitStore, err)
}

// newExitCodesTopic makes "edged help exit-codes" work.
func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "what the exit codes mean", Long: exitCodesText}
}
