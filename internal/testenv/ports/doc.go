// Package ports finds free ports of this machine for servers, and keeps them for their
// server while it is down.
package ports
