// Package apt installs Debian packages for the test environment on machines
// where it may: as root, with apt-get. Elsewhere the test environment says
// what to install instead.
package apt
