package command

import (
	"strings"

	"github.com/ackbox/ackbox/rabbitmq"
)

const aboutBroker = "RabbitMQ"

// judging is what a judgement of queues takes into account.
type judging struct {
	// exact says that the topology is the application's, so that a difference is a mistake.
	exact  bool
	paused map[string]bool
}

// judgeBroker says what is to be said of the broker.
func judgeBroker(list *findings, e rabbitmq.Examination, err error, by judging) {
	versions := make(map[string]bool)
	for _, n := range e.Nodes {
		if n.Error != "" {
			list.add(bad, aboutBroker, "see that the node runs, and that AMQP_URL's host, vhost, user and password are right",
				"%s does not let us in: %s", n.Address, n.Error)
			continue
		}
		versions[n.Version] = true
		encrypted := "not encrypted"
		if n.TLS {
			encrypted = "encrypted"
		}
		list.add(good, aboutBroker, "", "%s: %s %s, cluster %s, %s, heartbeat %s, login in %s",
			n.Address, n.Product, n.Version, dash(n.Cluster), encrypted, span(n.Heartbeat), span(n.Login))
		if older(n.Version, 3, 10) {
			list.add(bad, aboutBroker, "upgrade it", "%s is older than RabbitMQ 3.10: retries of messages without a row can be lost", n.Address)
		}
		if n.Heartbeat == 0 {
			list.add(warn, aboutBroker, "take heartbeat=0 out of the URL, and out of the server's configuration", "%s asks for no heartbeats: a dead peer is found after hours", n.Address)
		}
	}
	if err != nil {
		return
	}
	if len(versions) > 1 {
		list.add(note, aboutBroker, "", "the nodes have different versions: an upgrade is on its way, or was not finished")
	}
	judgePublishing(list, e)
	for _, unknown := range e.Unknown {
		list.add(note, aboutBroker, "", "not checked: %s", unknown)
	}
	list.add(note, aboutBroker, "", "not checked, because AMQP does not tell: policies, consumer_timeout, free disk before its alarm")
	for _, q := range e.Queues {
		judgeQueue(list, q, by)
	}
	for _, x := range e.Exchanges {
		judgeExchange(list, x)
	}
}

func judgePublishing(list *findings, e rabbitmq.Examination) {
	switch {
	case e.Blocked != "":
		list.add(bad, aboutBroker, "free memory or disk on its node ('rabbitmq-diagnostics alarms' says which): nothing is published until the alarm ends. Jobs wait in the table and lose nothing.",
			"it takes no messages: %s", e.Blocked)
	case e.PublishDenied != "":
		list.add(bad, aboutBroker, "rabbitmqctl set_permissions: let the user write to the default exchange, amq.default, see SECURITY.md",
			"this user may not publish: %s", e.PublishDenied)
	case len(e.Unknown) == 0:
		list.add(good, aboutBroker, "", "it takes messages, and confirms them")
	}
}

func judgeQueue(list *findings, q rabbitmq.QueueExamination, by judging) {
	work := q.Name == q.Of
	about := aboutBroker + ", queue " + q.Of
	switch {
	case !q.There && work && q.Unknown == "":
		list.add(warn, about, "the first worker or dispatcher that connects declares it; with Config.Passive somebody has to", "it is not there")
		return
	case q.Silent:
		list.add(bad, about, "bring its nodes back: a quorum queue needs more than half of them; 'rabbitmq-queues quorum_status "+q.Name+"' says which.\nUntil then its jobs wait in the table; other queues go on.",
			"%s does not answer: %s", q.Name, q.Unknown)
		return
	case q.Unknown != "":
		list.add(note, about, "", "not checked: %s: %s", q.Name, q.Unknown)
	}
	if len(q.Denied) > 0 {
		list.add(bad, about, "rabbitmqctl set_permissions, see SECURITY.md. Without 'configure' set rabbitmq.Config.Passive, and let somebody else declare everything",
			"this user may not %s %s", in(q.Denied), q.Name)
	}
	judgeDifference(list, about, q, by.exact)
	switch {
	case work && q.Ready > 0 && q.Consumers == 0 && !by.paused[q.Name]:
		list.add(bad, about, "start a worker for this queue; 'ackbox queues list' says whether it is paused", "%d messages wait, and nobody consumes it", q.Ready)
	case work:
		list.add(good, about, "", "%s: %d messages wait; consumers: %d", q.Name, q.Ready, q.Consumers)
	case strings.HasSuffix(q.Name, ".dead") && q.Ready > 0:
		list.add(warn, about, "ackbox dead list "+q.Of+"; ackbox dead requeue "+q.Of, "%d messages without a row were given up, in %s", q.Ready, q.Name)
	}
}

func judgeDifference(list *findings, about string, q rabbitmq.QueueExamination, exact bool) {
	switch {
	case q.Differs == "":
	case exact || q.Name != q.Of:
		list.add(bad, about, "change the topology, or drain the queue, delete it and let it be declared anew: until then nobody can declare it, and its jobs wait",
			"%s is not as it would be declared: %s", q.Name, q.Differs)
	case strings.HasPrefix(q.Differs, "x-delivery-limit"):
		list.add(warn, about, "if it is ours, drain it, delete it and let it be declared anew; if it is somebody else's, say so in the topology (Passive, DeliveryLimit)",
			"%s: the broker drops a message that came back often: %s", q.Name, q.Differs)
	default:
		list.add(note, about, "", "%s is not a queue of the default arguments: %s; --topology says what the application wants", q.Name, q.Differs)
	}
}

func judgeExchange(list *findings, x rabbitmq.ExchangeExamination) {
	about := aboutBroker + ", exchange " + x.Name
	switch {
	case x.Unknown != "":
		list.add(note, about, "", "not checked: %s", x.Unknown)
	case !x.There:
		list.add(warn, about, "the first process that connects declares it; with Config.Passive somebody has to", "it is not there")
	case x.Differs != "":
		list.add(bad, about, "change the topology, or delete the exchange and let it be declared anew", "it is not as it would be declared: %s", x.Differs)
	default:
		list.add(good, about, "", "it is there")
	}
}

// older reports whether a version is below major.minor; what cannot be read is not.
func older(version string, major, minor int) bool {
	var m, n int
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	for i, into := range []*int{&m, &n} {
		for _, r := range parts[i] {
			if r < '0' || r > '9' {
				return false
			}
			*into = *into*10 + int(r-'0')
		}
	}
	return m < major || m == major && n < minor
}
