//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// endWait is how long a child may take to end after SIGTERM.
const endWait = 20 * time.Second

// child is a candidate's process.
type child struct {
	cmd   *exec.Cmd
	out   *bufio.Reader // its standard output
	pipe  *os.File      // under out
	log   string        // file with its standard error
	ended chan error
}

// startChild starts a program whose standard error goes to dir/name.log. It dies
// with us.
func startChild(dir, name string, env []string, program string, args ...string) (*child, error) {
	c := &child{log: filepath.Join(dir, name+".log"), ended: make(chan error, 1)}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd = exec.Command(program, args...)
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stderr = log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	c.cmd.Stdout = in
	c.pipe, c.out = out, bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	go func() { c.ended <- c.cmd.Wait() }()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// line reads a line of JSON from the child's output.
func (c *child) line(into any) error {
	text, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the process ended early (%w); its log: %s", err, c.tail())
	}
	return json.Unmarshal(text, into)
}

// discard drops the child's output, so that it never blocks on it.
func (c *child) discard() { go io.Copy(io.Discard, c.out) }

// end stops the child and waits for it.
func (c *child) end() error {
	defer c.pipe.Close()
	// An error means that it has ended already.
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-c.ended:
		c.ended <- err
		if err != nil {
			return fmt.Errorf("the process ended with %w; its log: %s", err, c.tail())
		}
		return nil
	case <-time.After(endWait):
	}
	_ = c.cmd.Process.Kill()
	c.ended <- <-c.ended
	return fmt.Errorf("the process ignored SIGTERM for %v and was killed; its log: %s", endWait, c.tail())
}

// tail returns the end of what the child wrote to its standard error.
func (c *child) tail() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}
