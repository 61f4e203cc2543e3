package testenv_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv"
)

func TestDatabaseBelongsToOneTestAndIsGoneAfterIt(t *testing.T) {
	var name string
	t.Run("inside", func(t *testing.T) {
		db := testenv.Postgres(t)
		if err := db.Exec("CREATE TABLE job (id int)").Error; err != nil {
			t.Fatal(err)
		}
		if again := testenv.Postgres(t); again != db {
			t.Error("a second call in the same test gave another handle")
		}
		name = databaseOf(t, testenv.DatabaseURL(t))
		if err := db.Raw("SELECT current_database()").Scan(&name).Error; err != nil {
			t.Fatal(err)
		}
		if want := databaseOf(t, testenv.DatabaseURL(t)); name != want {
			t.Errorf("Postgres opened %q, DatabaseURL names %q", name, want)
		}
	})
	db := testenv.Postgres(t) // of the outer test: another one
	var left int64
	if err := db.Raw("SELECT count(*) FROM pg_database WHERE datname = ?", name).Scan(&left).Error; err != nil {
		t.Fatal(err)
	}
	if left != 0 {
		t.Errorf("database %s is still there after its test", name)
	}
	if own := databaseOf(t, testenv.DatabaseURL(t)); own == name {
		t.Errorf("two tests share the database %s", own)
	}
}

func TestServerKeepsWhatItConfirmed(t *testing.T) {
	for setting, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "max_connections": "200"} {
		var got string
		if err := testenv.Postgres(t).Raw("SELECT current_setting(?)", setting).Scan(&got).Error; err != nil {
			t.Fatal(err)
		}
		if got != want && setting != "max_connections" { // a server from the environment has its own
			t.Errorf("%s = %s, want %s: durability cannot be tested on this server", setting, got, want)
		}
	}
}

func databaseOf(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

func TestMissingServerFailsTheTestAndSaysWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		unset string
		call  func(testing.TB)
	}{
		{testenv.DatabaseVar, func(tb testing.TB) { tb.Helper(); testenv.DatabaseURL(tb) }},
		{testenv.DatabaseVar, func(tb testing.TB) { tb.Helper(); testenv.Postgres(tb) }},
		{testenv.AMQPVar, func(tb testing.TB) { tb.Helper(); testenv.AMQPURL(tb) }},
		{testenv.APIVar, func(tb testing.TB) { tb.Helper(); testenv.Rabbit(tb) }},
	} {
		t.Run(tc.unset, func(t *testing.T) {
			t.Setenv(tc.unset, "")
			says := failure(t, tc.call)
			for _, want := range []string{tc.unset, "make test", "make services-up"} {
				if !strings.Contains(says, want) {
					t.Errorf("the failure does not mention %q: %s", want, says)
				}
			}
		})
	}
}

func TestFailureDoesNotShowAPassword(t *testing.T) {
	for name, call := range map[string]func(testing.TB){
		testenv.DatabaseVar: func(tb testing.TB) { tb.Helper(); testenv.DatabaseURL(tb) },
		testenv.AMQPVar:     func(tb testing.TB) { tb.Helper(); testenv.AMQPURL(tb) },
		testenv.APIVar:      func(tb testing.TB) { tb.Helper(); testenv.AMQPURL(tb) },
	} {
		for _, bad := range []string{"mysql://u:hunter2@127.0.0.1:1/", "://u:hunter2@"} {
			if name != testenv.APIVar && os.Getenv(testenv.APIVar) == "" {
				t.Setenv(testenv.APIVar, "http://u:hunter2@127.0.0.1:1")
			}
			t.Run(name, func(t *testing.T) {
				t.Setenv(name, bad)
				says := failure(t, call)
				if strings.Contains(says, "hunter2") {
					t.Errorf("the failure shows a password: %s", says)
				}
				if !strings.Contains(says, name) {
					t.Errorf("the failure does not say which variable is wrong: %s", says)
				}
			})
		}
	}
}

// failure runs call with a test that records its Fatalf, and returns that.
func failure(t *testing.T, call func(testing.TB)) string {
	t.Helper()
	fake := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { fake.returned = recover() == nil }()
		call(fake)
	}()
	<-done
	if fake.returned || fake.message == "" {
		t.Fatal("a helper without a server did not fail the test")
	}
	return fake.message
}
