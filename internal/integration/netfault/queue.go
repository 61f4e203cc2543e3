package netfault

import "net"

// queueSize bounds what one direction of a connection holds, in octets; a peer
// that does not read, or a silent network, then stops the other one.
const queueSize = 64 << 10

// queue is the end of a link: toxiproxy writes into it, run writes it to the
// socket while its direction is not silent.
type queue struct {
	conn    *conn
	counted bool // this direction is CutAfter's, and not silenced by HalfOpen

	// Guarded by conn.p.mu.
	data   []byte
	ended  bool // nothing more will be written
	broken bool // and not because the source ended in order
}

// Write never fails: a link that stops taking leaves goroutines behind. What is
// written when the connection is over goes nowhere.
func (q *queue) Write(b []byte) (int, error) {
	p := q.conn.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(q.data) >= queueSize && p.elastic == 0 && !q.conn.over {
		q.conn.changed.Wait()
	}
	if !q.conn.over {
		q.data = append(q.data, b...)
		q.conn.changed.Broadcast()
	}
	return len(b), nil
}

// Close is the link's last word.
func (q *queue) Close() error {
	p := q.conn.p
	p.mu.Lock()
	defer p.mu.Unlock()
	q.ended = true
	q.conn.changed.Broadcast()
	return nil
}

func (q *queue) breakOff() {
	q.conn.p.mu.Lock()
	defer q.conn.p.mu.Unlock()
	q.broken = true
}

// run writes what comes, until the link has ended.
func (q *queue) run(to net.Conn) {
	for {
		data, last := q.take()
		if data == nil {
			q.finish(to)
			return
		}
		if _, err := to.Write(data); err != nil {
			q.conn.finish(true)
		}
		if last {
			q.conn.p.spent()
		}
	}
}

// take waits for what may be written now, and nil when nothing more will come.
// last says that it is CutAfter's last.
func (q *queue) take() (data []byte, last bool) {
	p := q.conn.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		silent := p.frozen || p.halfOpen && !q.counted
		spent := p.budget == 0 && q.counted // the cut is about to come
		switch {
		case q.conn.over && q.ended, q.ended && len(q.data) == 0 && !silent:
			return nil, false
		case len(q.data) > 0 && !silent && !spent && !q.conn.over:
			return q.next()
		}
		q.conn.changed.Wait()
	}
}

func (q *queue) next() (data []byte, last bool) {
	p := q.conn.p
	data, q.data = q.data, nil
	if q.counted && p.budget >= 0 {
		if len(data) >= p.budget {
			data, last = data[:p.budget], true
		}
		p.budget -= len(data)
	}
	q.conn.changed.Broadcast()
	return data, last
}

// finish tells the peer how the other side ended.
func (q *queue) finish(to net.Conn) {
	p := q.conn.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.broken {
		q.conn.end(true)
	}
	if half, ok := to.(*net.TCPConn); ok && !q.conn.over {
		_ = half.CloseWrite() // fails only if the peer has gone already
	}
}
