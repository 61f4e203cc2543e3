package worker

import "github.com/ackbox/ackbox/internal/core"

// The last step: a delivery and the copies joined to it are answered to the broker,
// once.

// ack acknowledges the delivery and the copies joined to it. Copies that were
// sent after it go back to the queue instead: what was recorded may be the very
// reason why they were sent, so when they come again the ledger is asked.
func (h *hand) ack() { ackAll([]*hand{h}) }

// ackAll is ack for many, with few messages to the broker.
func ackAll(hands []*hand) {
	receipts := make([]core.Receipt, 0, len(hands))
	var newer []core.Receipt
	for _, h := range hands {
		copies, after := h.set.drop(h, false)
		receipts, newer = append(receipts, copies...), append(newer, after...)
	}
	acknowledge(receipts)
	giveBackAll(newer)
}

// relieve acknowledges the messages of what stays in hand, because the ledger has it
// alone from now on.
func relieve(h *hand) {
	h.set.mu.Lock()
	receipts := h.copies
	h.copies, h.alone = nil, true
	h.set.mu.Unlock()
	acknowledge(receipts)
}

// requeue gives the delivery, and every copy joined to it, back to the broker.
func (h *hand) requeue() {
	copies, newer := h.set.drop(h, true)
	giveBackAll(append(copies, newer...))
}

// An error of a receipt means that the channel is gone: then the broker hands the
// message out again by itself, and the ledger knows the rest.

func acknowledge(receipts []core.Receipt) {
	for len(receipts) > 0 {
		if batch, ok := receipts[0].(core.BatchReceipt); ok {
			receipts = batch.AckAll(receipts[1:])
			continue
		}
		_ = receipts[0].Ack()
		receipts = receipts[1:]
	}
}

func giveBackAll(receipts []core.Receipt) {
	for _, receipt := range receipts {
		_ = receipt.Requeue()
	}
}
