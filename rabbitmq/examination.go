package rabbitmq

import "time"

// Examination is how RabbitMQ is, as far as jobs depend on it and AMQP can ask: facts, of
// which whoever reads them makes a judgement.
type Examination struct {
	// Nodes are the addresses of Config.URL or Config.URLs.
	Nodes []NodeExamination
	// Blocked is why the broker takes no messages from publishers (a memory or disk alarm),
	// empty if it does.
	Blocked string
	// PublishDenied is what the broker says to a message for the default exchange, by which
	// jobs reach their queues; empty if it takes it.
	PublishDenied string
	// Queues are those of the topology, each followed by its dead queue and its retry
	// queues, where they are there.
	Queues []QueueExamination
	// Exchanges are those of the topology.
	Exchanges []ExchangeExamination
	// Unknown says what could not be asked for, and why.
	Unknown []string
}

// NodeExamination is what one address answers.
type NodeExamination struct {
	// Address is what may be shown of the URL.
	Address string
	// Error is why nobody could log in there; the rest is empty then.
	Error string
	// Product, Version and Cluster are what the node calls itself.
	Product, Version, Cluster string
	// TLS says that the connection is encrypted, Heartbeat how often it is asked for life.
	TLS       bool
	Heartbeat time.Duration
	// Login is how long connecting took.
	Login time.Duration
}

// QueueExamination is how a queue is.
type QueueExamination struct {
	Name string
	// Of is the work queue to which it belongs; it is Name for that itself.
	Of string
	// There says that it exists.
	There bool
	// Ready messages wait in it, Consumers take from it.
	Ready, Consumers int
	// Silent says that it exists and does not answer, such as a quorum queue without its
	// majority.
	Silent bool
	// Differs says, in words, which argument it has that is not the topology's.
	Differs string
	// Denied are the permissions that are missing: "configure", "read".
	Denied []string
	// Unknown is why something of it could not be asked for.
	Unknown string
}

// ExchangeExamination is how an exchange of the topology is.
type ExchangeExamination struct {
	Name    string
	There   bool
	Differs string
	Unknown string
}
