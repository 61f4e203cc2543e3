//go:build unix

package main

const inDashboard = "dashboard"

// shown are those of the page for people on call.
var shown = []mutant{
	{
		8, "let everybody in who was not asked for", "dashboard/guard.go",
		"return Viewer{}, errNotAsked", "return Viewer{\"anybody\", Everything}, nil",
		[]suite{{inDashboard, "TestClosedUntilTheApplicationSaysWho"}},
	},
	{
		8, "let in whom the application refuses", "dashboard/guard.go",
		"case err != nil:\n\t\t\td.refuse", "case err != nil && viewer.Name == \"\":\n\t\t\td.refuse",
		[]suite{{inDashboard, "TestAuthorizeRefuses"}},
	},
	{
		8, "ask for one permission where two are needed", "dashboard/viewer.go",
		"return v.Can&p == p && (p == Read || v.Name != \"\")", "return v.Can&(p|Read) != 0 && (p == Read || v.Name != \"\")",
		[]suite{{inDashboard, "TestPermissions"}},
	},
	{
		8, "let somebody without a name change jobs", "dashboard/viewer.go",
		"(p == Read || v.Name != \"\")", "(p == Read || v.Name == v.Name)",
		[]suite{{inDashboard, "TestPermissions"}},
	},
	{
		8, "begin an operation without asking whether he may", "dashboard/bulk.go",
		"if !page.Allowed {", "if !page.Allowed && false {",
		[]suite{{inDashboard, "TestPermissions"}},
	},
	{
		8, "stop an operation without asking whether he may", "dashboard/bulk.go",
		"if !r.viewer.allows(needed) {", "if !r.viewer.allows(needed) && false {",
		[]suite{{inDashboard, "TestPermissions"}},
	},
	{
		8, "take a form of another site", "dashboard/guard.go",
		"if err := d.cross.Check(r); err != nil {", "if err := d.cross.Check(r); err != nil && false {",
		[]suite{{inDashboard, "TestCrossOriginWritesAreRefused"}},
	},
	{
		8, "let a link change jobs", "dashboard/dashboard.go",
		"mux.Handle(pattern, d.guarded(Read, onlyPost))", "mux.Handle(pattern, d.guarded(act.needs, act.do))",
		[]suite{{inDashboard, "TestWritesTakePOSTAlone"}},
	},
	{
		8, "let a page load from anywhere", "dashboard/dashboard.go",
		"\"default-src 'none'; script-src", "\"script-src",
		[]suite{{inDashboard, "TestNothingIsInlineAndNothingForeign"}},
	},
	{
		8, "show characters that turn or hide text", "dashboard/format.go",
		"unicode.IsControl(r) || unicode.Is(unicode.Cf, r)", "unicode.IsControl(r)",
		[]suite{{inDashboard, "TestHostileTextIsText"}},
	},
	{
		8, "act on another job than is shown", "dashboard/views.go",
		"shown.ID, shown.State = e.ID, e.State", "shown.State = e.State",
		[]suite{{inDashboard, "TestMask"}},
	},
	{
		8, "name in an address what is masked", "dashboard/views.go",
		"f.Error, whole = \"\", false", "whole = false",
		[]suite{{inDashboard, "TestMask"}},
	},
	{
		8, "follow a form out of the dashboard", "dashboard/act.go",
		" || strings.HasPrefix(u.Path, \"..\")", "",
		[]suite{{inDashboard, "TestBackLeadsNowhereElse"}},
	},
	{
		8, "change everything for a filter that was left empty", "dashboard/bulk.go",
		"case s.Filter == outbox.Filter{} && !all:", "case s.Filter == outbox.Filter{} && !all && false:",
		[]suite{{inDashboard, "TestBadForms"}},
	},
	{
		8, "begin with thousands that nobody has confirmed", "dashboard/bulk.go",
		"case page.Confirm && (err", "case false && (err",
		[]suite{{inDashboard, "TestBulk"}},
	},
	{
		10, "indent a payload however deep it is", "dashboard/payload.go",
		"depth(b) <= shownDepth && ", "",
		[]suite{{inDashboard, "TestPayloadIsBounded"}},
	},
	{
		8, "say that all is well where nothing is known", "dashboard/now.go",
		"page.Trouble = append(page.Trouble, fmt.Sprintf(\"%s could not be read: %v\", what, err))", "_ = what",
		[]suite{{inDashboard, "TestTheLedgerCannotBeRead"}},
	},
}
