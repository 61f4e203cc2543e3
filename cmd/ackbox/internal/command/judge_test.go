package command

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// healthy is what a server says that has nothing.
func healthy() outbox.Diagnosis {
	return outbox.Diagnosis{
		Version: "15.1", Number: 150001, Role: "app", Schema: 1, SchemaNeeded: 1, Connections: 5, MaxConnections: 97,
		Settings:   map[string]string{"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on", "track_counts": "on"},
		Wraparound: 1 << 31, FrozenAge: 1000,
	}
}

// What cannot be done to the servers that tests share is judged from what they would say.
func TestJudgeDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		damage func(*outbox.Diagnosis)
		level  level
		says   string
		do     string
	}{
		{func(d *outbox.Diagnosis) { d.Number = 120000 }, warn, "older than 13", "upgrade"},
		{func(d *outbox.Diagnosis) { d.Standby = true }, bad, "is a standby", "target_session_attrs=read-write"},
		{func(d *outbox.Diagnosis) { d.Settings["fsync"] = "off" }, warn, "fsync is off", "ALTER SYSTEM SET fsync = on"},
		{func(d *outbox.Diagnosis) { d.Settings["synchronous_commit"] = "off" }, warn, "synchronous_commit is off", "ALTER SYSTEM"},
		{func(d *outbox.Diagnosis) { d.Settings["autovacuum"] = "off" }, bad, "autovacuum is off", "SET autovacuum = on"},
		{func(d *outbox.Diagnosis) { d.Clock = -time.Minute }, warn, "1m00s apart", "NTP"},
		{func(d *outbox.Diagnosis) { d.Schema = 0 }, bad, "the jobs table is not there", "ackbox migrate up"},
		{func(d *outbox.Diagnosis) { d.SchemaNeeded = 2 }, bad, "version 1, this build needs 2", "ackbox migrate up"},
		{func(d *outbox.Diagnosis) { d.Connections = 90 }, warn, "90 of 97 connections", "PgBouncer"},
		{func(d *outbox.Diagnosis) { d.Blocked = []outbox.Blocked{{PID: 7, For: time.Minute, By: []int64{8, 9}}} }, warn, "session 7 has waited for 1m00s", "IN (8, 9)"},
		{func(d *outbox.Diagnosis) {
			d.Tables = []outbox.TableDiagnosis{{Name: "j", Live: 10, Dead: 60_000, Vacuums: true}}
		}, warn, "j has 60000 dead rows beside 10", "VACUUM (VERBOSE) public.j"},
		{func(d *outbox.Diagnosis) { d.FrozenAge = 1 << 30 }, warn, "50 % of the transaction numbers", "VACUUM FREEZE"},
		{func(d *outbox.Diagnosis) { d.FrozenAge = 1<<31 - 1<<20 }, bad, "99 % of the transaction numbers", "VACUUM FREEZE"},
		{func(d *outbox.Diagnosis) { d.StrayRows = true }, warn, "the default partition has rows", "docs/partitions.md"},
		{holding("session", "7", "idle in transaction", 6*time.Minute), bad, "session 7 (app) has been idle in transaction for 6m00s", "pg_terminate_backend(7)"},
		{holding("session", "7", "active", 20*time.Minute), warn, "session 7 (app) has worked in one transaction for 20m00s", "standby"},
		{holding("prepared transaction", "x", "", time.Hour), bad, "prepared transaction x of app", "ROLLBACK PREPARED 'x'"},
		{holding("replication slot", "s", "inactive", 0), warn, "nobody reads replication slot s", "pg_drop_replication_slot('s')"},
	} {
		d := healthy()
		var list findings
		judgeDatabase(&list, d, "public", "j")
		if n := worse(list); n != 0 {
			t.Fatalf("a healthy server: %+v", list)
		}
		c.damage(&d)
		list = nil
		judgeDatabase(&list, d, "public", "j")
		if n := worse(list); n != 1 {
			t.Errorf("%s: %d findings: %+v", c.says, n, list)
		}
		for _, f := range list {
			if f.Level == good || f.Level == note {
				continue
			}
			if f.Level != c.level || !strings.Contains(f.What, c.says) || !strings.Contains(f.Do, c.do) {
				t.Errorf("%+v, want %s: %s → %s", f, c.level, c.says, c.do)
			}
		}
	}
	// A session that has only just begun, or only waits a moment, is nothing.
	d := healthy()
	d.Blocked = []outbox.Blocked{{PID: 7, For: time.Millisecond, By: []int64{8}}}
	holding("session", "7", "idle in transaction", time.Second)(&d)
	var list findings
	judgeDatabase(&list, d, "public", "j")
	if n := worse(list); n != 0 {
		t.Errorf("%+v", list)
	}
}

func holding(what, name, state string, age time.Duration) func(*outbox.Diagnosis) {
	return func(d *outbox.Diagnosis) {
		d.Holders = append(d.Holders, outbox.Horizon{What: what, Name: name, Who: "app", State: state, Age: age})
	}
}

func worse(list findings) (n int) {
	for _, f := range list {
		if f.Level == warn || f.Level == bad {
			n++
		}
	}
	return n
}

func TestJudgeBroker(t *testing.T) {
	t.Parallel()
	node := rabbitmq.NodeExamination{Address: "amqp://mq", Product: "RabbitMQ", Version: "3.10.8", Heartbeat: 10 * time.Second}
	for _, c := range []struct {
		e     rabbitmq.Examination
		err   error
		level level
		says  string
	}{
		{rabbitmq.Examination{Blocked: "low on disk"}, nil, bad, "it takes no messages: low on disk"},
		{rabbitmq.Examination{Queues: []rabbitmq.QueueExamination{{Name: "q", Of: "q", There: true, Silent: true, Unknown: "no leader"}}}, nil, bad, "q does not answer: no leader"},
		{rabbitmq.Examination{Queues: []rabbitmq.QueueExamination{{Name: "q.dead", Of: "q", There: true, Ready: 3}}}, nil, warn, "3 messages without a row"},
		{rabbitmq.Examination{Queues: []rabbitmq.QueueExamination{{Name: "q", Of: "q", There: true, Ready: 3}}}, nil, bad, "3 messages wait, and nobody consumes it"},
		{rabbitmq.Examination{Exchanges: []rabbitmq.ExchangeExamination{{Name: "x", There: true, Differs: "type is topic there, and direct here"}}}, nil, bad, "type is topic there"},
	} {
		c.e.Nodes = []rabbitmq.NodeExamination{node}
		var list findings
		judgeBroker(&list, c.e, c.err, judging{})
		if worse(list) != 1 || !told(list, c.level, c.says) {
			t.Errorf("want %s %q: %+v", c.level, c.says, list)
		}
	}
	for _, c := range []struct {
		change func(*rabbitmq.NodeExamination)
		level  level
		says   string
	}{
		{func(n *rabbitmq.NodeExamination) { n.Version = "3.9.1" }, bad, "older than RabbitMQ 3.10"},
		{func(n *rabbitmq.NodeExamination) { n.Heartbeat = 0 }, warn, "no heartbeats"},
	} {
		changed := node
		c.change(&changed)
		var list findings
		judgeBroker(&list, rabbitmq.Examination{Nodes: []rabbitmq.NodeExamination{changed}}, nil, judging{})
		if worse(list) != 1 || !told(list, c.level, c.says) {
			t.Errorf("want %s %q: %+v", c.level, c.says, list)
		}
	}
	var list findings
	judgeBroker(&list, rabbitmq.Examination{Nodes: []rabbitmq.NodeExamination{{Address: "a", Error: "refused"}}}, errors.New("none"), judging{})
	if len(list) != 1 || !told(list, bad, "a does not let us in: refused") {
		t.Errorf("a node that is away: %+v", list)
	}
}

func told(list findings, l level, text string) bool {
	for _, f := range list {
		if f.Level == l && strings.Contains(f.What, text) {
			return true
		}
	}
	return false
}

func TestJudgeRuns(t *testing.T) {
	t.Parallel()
	now := time.Now()
	long := []outbox.Instance{{Running: []outbox.Running{{Since: now.Add(-25 * time.Minute)}}}}
	var list findings
	judgeRuns(&list, nil, long, now)
	if !told(list, warn, "jobs run for up to 25m00s") {
		t.Errorf("%+v", list)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", time.Microsecond: "<1ms", 1500 * time.Microsecond: "2ms", 9950 * time.Millisecond: "10s", 1200 * time.Millisecond: "1.2s",
		time.Minute: "1m00s", 110 * time.Second: "1m50s", 10 * time.Minute: "10m00s", time.Hour: "1h00m", 25*time.Hour + 70*time.Second: "25h01m",
		72 * time.Hour: "3d",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) is %q, want %q", d, got, want)
		}
	}
}
