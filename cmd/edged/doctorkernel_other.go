//go:build !linux

package main

import (
	"errors"
	"os"
)

var errOnlyLinux = errors.New("only known on Linux")

func readClock() (clockState, error)     { return clockState{}, errOnlyLinux }
func roomAt(string) (room, error)        { return room{}, errOnlyLinux }
func syncData(file *os.File) error       { return file.Sync() }
func fileLimit() (limit uint64, _ error) { return 0, errOnlyLinux }
func held(string) bool                   { return false }
