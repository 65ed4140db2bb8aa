//go:build tools

// Package tools pins Kueue, for tests of runs that wait in a queue.
package tools

import _ "sigs.k8s.io/kueue/cmd/kueue"
