// Package dashboard is a page for those who run an application: what needs attention,
// where each job is and why, what was given up, and how it is put back.
//
//	auth, err := dashboard.BasicAuth(dashboard.Account{
//		Name: "ops", PasswordSHA256: os.Getenv("OPS_PASSWORD_SHA256"), Can: dashboard.Everything,
//	})
//	board, err := dashboard.New(store, dashboard.Config{Authorize: auth, Broker: mq, Name: "shop, production"})
//	mux.Handle("/ops/jobs/", http.StripPrefix("/ops/jobs", board))
//
// Until Config.Authorize says who may, every page answers 403. It is asked for each request,
// and each write is checked again: it must be a POST, not from another site
// ([http.CrossOriginProtection]), by somebody with a name and the permission for it, and is
// recorded with that name in the same transaction that does it.
//
// Pages are whole without JavaScript, which only refreshes them and answers keys. Nothing
// is loaded from elsewhere: the Content-Security-Policy forbids all but the page's own style
// sheet and script. What producers have chosen (kinds, keys, payloads, headers, errors) is
// shown as text, with control and direction characters spelled out.
//
// Every page answers in JSON to who asks with Accept: application/json, and every write
// does too, so curl can do whatever the page can. Members may be added later.
//
// What a page reads is bounded: lists go by cursors along an index, counts end at 10,000
// ("10,000+"), and every statement has a timeout. So a ledger of millions of rows
// is no slower to look at than an empty one, and looking does no harm to it.
package dashboard
