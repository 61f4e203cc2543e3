package main

// chart is a picture of a sweep.
type chart struct {
	sweep  string
	x      string // what the sweep varies
	xLabel func(float64) string
	panels []panel
}

// panel is a pair of axes with some series of the sweep, all in one unit.
type panel struct {
	title  string
	y      string
	series []curve
	// logY is for what changes by orders of magnitude; otherwise y begins at 0.
	logY bool
}

// curve is a series and how the legend calls it.
type curve struct{ series, legend string }

// allCharts are the pictures of all sweeps.
func allCharts() []chart {
	return []chart{{
		sweep: "instances", x: "instances", xLabel: grouped,
		panels: []panel{{
			title: "More dispatchers, more workers, one table and one queue", y: "messages or jobs per second",
			series: []curve{{"dispatchers", "dispatchers: relayed msg/s"}, {"workers", "workers: jobs/s handled and recorded"}},
		}},
	}, {
		sweep: "batch", x: "batch size and window, in messages", xLabel: grouped,
		panels: []panel{
			{title: "Relay rate", y: "messages per second", series: []curve{{"rate", ""}}},
			{title: "Time of a batch, claim to commit", y: "milliseconds", series: []curve{{"p50", "p50"}, {"p99", "p99"}}},
		},
	}, {
		sweep: "payload", x: "payload of a message", xLabel: byteSize,
		panels: []panel{
			{title: "Messages relayed", y: "messages per second (log)", series: []curve{{"messages", ""}}, logY: true},
			{title: "Payload relayed", y: "MB per second", series: []curve{{"bytes", ""}}},
		},
	}, {
		sweep: "queues", x: "quorum queues, the backlog spread evenly over them", xLabel: grouped,
		panels: []panel{{
			title: "More queues, one dispatcher, one worker", y: "messages or jobs per second",
			series: []curve{{"dispatcher", "dispatcher: relayed msg/s"}, {"worker", "worker: jobs/s handled and recorded"}},
		}},
	}, {
		sweep: "prefetch", x: "prefetch of the queue, in messages (16 handlers at once)", xLabel: grouped,
		panels: []panel{{
			title: "Prefetch of one worker with a handler that does nothing", y: "jobs per second",
			series: []curve{{"worker", ""}},
		}},
	}}
}
