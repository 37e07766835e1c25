// Package uptime says how long, in words.
package uptime

import (
	"fmt"
	"time"
)

// InWords gives whole minutes.
func InWords(uptime time.Duration) string {
	minutes := int(uptime.Minutes())
	if minutes == 1 {
		return "1 minute"
	}
	return fmt.Sprintf("%d minutes", minutes)
}
