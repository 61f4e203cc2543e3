package dashboard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/ackbox/ackbox/dashboard"
)

// The page is served under a path of the application's own, to whom the application knows.
func ExampleNew() {
	store := badDay(time.Now()) // in an application: outbox.NewStore(db, outbox.Config{})
	board, err := dashboard.New(store, dashboard.Config{
		Name: "shop, production",
		Authorize: func(r *http.Request) (dashboard.Viewer, error) {
			if cookie, err := r.Cookie("session"); err == nil && cookie.Value == "ada's" {
				return dashboard.Viewer{Name: "ada", Can: dashboard.Read | dashboard.Requeue}, nil
			}
			return dashboard.Viewer{}, fmt.Errorf("no session")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/ops/jobs/", http.StripPrefix("/ops/jobs", board))

	ask := func(path, cookie string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Cookie", "session="+cookie)
		r.Header.Set("Accept", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(path, w.Code, strings.Contains(w.Body.String(), "greylisted"))
	}
	ask("/ops/jobs/given-up", "eve's")
	ask("/ops/jobs/given-up", "ada's")
	// Output:
	// /ops/jobs/given-up 403 false
	// /ops/jobs/given-up 200 true
}

// Name and password are enough where there is no other way to sign in.
func ExampleBasicAuth() {
	auth, err := dashboard.BasicAuth(dashboard.Account{
		Name: "ops", PasswordSHA256: hash("a long random password"), Can: dashboard.Everything,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "/ops/jobs/", nil)
	r.SetBasicAuth("ops", "a long random password")
	viewer, err := auth(r)
	fmt.Println(viewer.Name, "may", viewer.Can, err)
	// Output:
	// ops may read, requeue, cancel, pause, delete <nil>
}
