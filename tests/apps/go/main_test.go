package main

import (
	"testing"
	"time"
)

func TestGreetsTheWorldAndSaysForHowLongItIsUp(t *testing.T) {
	for up, expected := range map[time.Duration]string{
		time.Minute:   "Hello, World! I have been up for 1 minute.",
		2 * time.Hour: "Hello, World! I have been up for 120 minutes.",
	} {
		if actual := greeting(up); actual != expected {
			t.Errorf("%v: %q is not %q", up, actual, expected)
		}
	}
}
