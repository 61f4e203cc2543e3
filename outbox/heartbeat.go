package outbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// heartbeat is the connection by which the instances of a Store say that they are
// alive: handlers that have taken all of the pool must not make them look dead. Safe
// for concurrent use.
type heartbeat struct {
	// turn is held while the connection is used or changed.
	turn sync.Mutex
	conn *sql.Conn
	// by are the instances that beat, idle ends it when none has for a while.
	ids  map[string]struct{}
	idle *time.Timer
}

// by runs the beat of an instance by the connection, or by a new one if that fails.
func (h *heartbeat) by(ctx context.Context, s *Store, id string, beat func(reader) error) error {
	if !s.d.schemas || s.pool.Stats().MaxOpenConnections == 1 {
		return beat(s.pool)
	}
	h.turn.Lock()
	defer h.turn.Unlock()
	again := false // with the second new one
	for {
		fresh := h.conn == nil
		if fresh {
			conn, err := s.pool.Conn(ctx)
			if err != nil {
				return err
			}
			h.conn = conn
		}
		began := time.Now()
		err := beat(h.conn)
		if err == nil {
			h.beaten(id)
			return nil
		}
		h.drop()
		if cleaned := s.pool.clean(ctx, began, err); ctx.Err() != nil || fresh && (!cleaned || again) {
			return err
		}
		again = fresh
	}
}

// beaten notes that an instance needs the connection for some time yet.
func (h *heartbeat) beaten(id string) {
	if h.ids == nil {
		h.ids = make(map[string]struct{})
	}
	h.ids[id] = struct{}{}
	if h.idle == nil {
		h.idle = time.AfterFunc(core.Silence, h.end)
		return
	}
	h.idle.Reset(core.Silence)
}

// left notes that an instance beats no more.
func (h *heartbeat) left(id string) {
	h.turn.Lock()
	defer h.turn.Unlock()
	if delete(h.ids, id); len(h.ids) == 0 {
		h.release()
	}
}

// end gives the connection back: nobody has used it for long.
func (h *heartbeat) end() {
	h.turn.Lock()
	defer h.turn.Unlock()
	clear(h.ids)
	h.release()
}

// drop throws the connection away: what is wrong with it may last.
func (h *heartbeat) drop() {
	_ = h.conn.Raw(func(any) error { return driver.ErrBadConn }) // which closes it
	h.release()
}

// release gives the connection back to the pool.
func (h *heartbeat) release() {
	if h.conn != nil {
		_ = h.conn.Close() // it only goes back
		h.conn = nil
	}
	if h.idle != nil {
		h.idle.Stop()
	}
}
