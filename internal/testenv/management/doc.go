// Package management speaks the few words of RabbitMQ's management API that
// the test environment needs: vhosts, users, queues, connections.
package management
