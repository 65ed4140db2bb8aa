//go:build tools

// Package tools pins kube-router, for tests of NetworkPolicies: the network of a test cluster enforces none itself.
package tools

import _ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
