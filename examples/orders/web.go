package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ackbox/ackbox/outbox"
)

// server is what a process answers over HTTP: orders in the web role, and in every role
// how it is.
type server struct {
	cfg   config
	db    *gorm.DB
	store *outbox.Store
	tel   *telemetry
	board http.Handler
	state *state
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	if s.cfg.does("web") {
		mux.Handle("POST /orders", s.tel.traced("POST /orders", s.placeOrder))
		mux.Handle("POST /orders/{id}/pay", s.tel.traced("POST /orders/{id}/pay", s.payOrder))
		mux.Handle("GET /orders/{id}", s.tel.traced("GET /orders/{id}", s.getOrder))
		mux.HandleFunc("GET /stats", s.stats)
		mux.Handle(boardPath, s.board)
	}
	// For those who run this: no proxy should pass these on to the outside.
	mux.HandleFunc("GET /healthz", s.state.live)
	mux.HandleFunc("GET /readyz", s.state.ready)
	mux.Handle("GET /metrics", s.tel.exposition)
	return http.MaxBytesHandler(http.TimeoutHandler(mux, 10*time.Second, `{"error":"timed out"}`), 64<<10)
}

// run serves until ctx ends, then finishes the requests in hand.
func (s *server) run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.addr)
	if err != nil {
		return fmt.Errorf("listen on ADDR: %w", err)
	}
	slog.InfoContext(ctx, "orders: listening", "addr", listener.Addr().String())
	srv := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }() // ends with Shutdown, awaited below
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = srv.Shutdown(grace)
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// placement is the body of POST /orders.
type placement struct {
	ID          orderID `json:"id"`
	Customer    string  `json:"customer"`
	AmountCents *int64  `json:"amount_cents"`
}

// badBody says in the client's words what the decoder did not like.
func badBody(err error) error {
	const want = `body: want a JSON object {"id","customer","amount_cents"}`
	var wrong *json.UnmarshalTypeError
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%s: is a %s, which does not fit", wrong.Field, wrong.Value)
	case errors.As(err, &long):
		return fmt.Errorf("%s of at most %d bytes", want, long.Limit)
	}
	return fmt.Errorf("%s: %w", want, err)
}

// orderID is a text; a JSON number is taken as its digits.
type orderID string

// UnmarshalJSON implements json.Unmarshaler.
func (id *orderID) UnmarshalJSON(raw []byte) error {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		*id = orderID(strconv.FormatInt(n, 10))
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return errors.New("id: want a text or a whole number")
	}
	*id = orderID(text)
	return nil
}

func (p placement) check() error {
	var errs []error
	if p.ID == "" || len(p.ID) > 100 || strings.ContainsAny(string(p.ID), "/\x00") {
		errs = append(errs, errors.New(`id: want 1 to 100 characters without "/"`))
	}
	if strings.TrimSpace(p.Customer) == "" || len(p.Customer) > 200 || strings.Contains(p.Customer, "\x00") {
		errs = append(errs, errors.New("customer: want 1 to 200 characters"))
	}
	if p.AmountCents == nil || *p.AmountCents <= 0 {
		errs = append(errs, errors.New("amount_cents: want a whole number above 0"))
	}
	return errors.Join(errs...)
}

var errKnown = errors.New("an order with this id exists already")

// placeOrder writes the order and, in the same transaction, everything that
// is to follow from it.
func (s *server) placeOrder(w http.ResponseWriter, r *http.Request) {
	var p placement
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		fail(w, http.StatusBadRequest, badBody(err))
		return
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		fail(w, http.StatusBadRequest, errors.New("body: something follows the order"))
		return
	}
	if err := p.check(); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	order := Order{ID: string(p.ID), Customer: p.Customer, AmountCents: *p.AmountCents, Status: statusPlaced}
	err := s.store.Transaction(r.Context(), func(tx *gorm.DB) error {
		created := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&order)
		if created.Error != nil {
			return created.Error
		}
		if created.RowsAffected == 0 {
			return errKnown
		}
		key := outbox.Key("order:" + order.ID) // what happened to this order?
		return outbox.EnqueueAll(r.Context(), tx,
			outbox.Item{Args: ConfirmOrder{OrderID: order.ID}, Options: []outbox.Option{key, outbox.MaxAttempts(confirmAttempts)}},
			outbox.Item{Args: CancelUnpaid{OrderID: order.ID}, Options: []outbox.Option{key, outbox.Delay(s.cfg.cancelAfter)}},
			outbox.Item{
				Args:    OrderPlaced{OrderID: order.ID, Customer: order.Customer, AmountCents: order.AmountCents},
				Options: []outbox.Option{key, outbox.Event(exchangeEvents, "order.placed"), outbox.Header("source", "orders")},
			},
		)
	})
	switch {
	case errors.Is(err, errKnown):
		fail(w, http.StatusConflict, err)
	case err != nil:
		s.internal(w, r, err)
	default:
		reply(w, http.StatusCreated, order)
	}
}

func (s *server) payOrder(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	paid := s.db.WithContext(r.Context()).Model(&Order{}).
		Where("id = ? AND status = ?", id, statusPlaced).Update("status", statusPaid)
	if paid.Error != nil {
		s.internal(w, r, paid.Error)
		return
	}
	order, ok := s.find(w, r, id)
	switch {
	case !ok:
	case order.Status == statusPaid: // now, or before: paying twice is no fault
		reply(w, http.StatusOK, order)
	default:
		fail(w, http.StatusConflict, fmt.Errorf("the order is %s", order.Status))
	}
}

func (s *server) getOrder(w http.ResponseWriter, r *http.Request) {
	if order, ok := s.find(w, r, r.PathValue("id")); ok {
		reply(w, http.StatusOK, order)
	}
}

// find reads an order, or answers the request itself.
func (s *server) find(w http.ResponseWriter, r *http.Request, id string) (Order, bool) {
	var order Order
	err := s.db.WithContext(r.Context()).First(&order, "id = ?", id).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		fail(w, http.StatusNotFound, errors.New("no such order"))
	case err != nil:
		s.internal(w, r, err)
	}
	return order, err == nil
}

// stats counts the jobs by state.
func (s *server) stats(w http.ResponseWriter, r *http.Request) {
	counts, err := s.store.Counts(r.Context())
	if err != nil {
		s.internal(w, r, err)
		return
	}
	reply(w, http.StatusOK, counts)
}

func (s *server) internal(w http.ResponseWriter, r *http.Request, err error) {
	slog.ErrorContext(r.Context(), "orders: request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	fail(w, http.StatusInternalServerError, errors.New("internal error: nothing was written; try again"))
}

func fail(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": strings.ReplaceAll(err.Error(), "\n", "; ")})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.Warn("orders: the client did not take its answer", "error", err)
	}
}
