// Package client is the root of the example; its code is in videoconf and
// cmd/info.
package client

// buf comes from npm as a binary, since to build it takes longer than all else
// here. With a buf of your own, run `buf generate`.
//
//go:generate npx --yes @bufbuild/buf@1.75.0 generate
