//go:build unix

package main

const inBrowser = "internal/browser"

// seen are those that are noticed by who looks at the pages.
var seen = []mutant{
	{
		8, "put a key's focus on the tick box, not on the job", "dashboard/assets/app.js",
		`(next.querySelector("[data-open]") || next.querySelector("a, button, input"))`, `next.querySelector("[data-open], a, button, input")`,
		[]suite{{inBrowser, "TestOperatorWithKeysAlone"}},
	},
	{
		8, "ask again what was asked wrongly", "dashboard/assets/app.js",
		` || !!main.querySelector(".note-bad[role=alert]")`, "",
		[]suite{{inBrowser, "TestOperatorSearchesForWhatNobodyUnderstands"}},
	},
	{
		8, "write what is hard to read", "dashboard/assets/app.css",
		"--dim: light-dark(#596675,", "--dim: light-dark(#8996a5,",
		[]suite{{inBrowser, "TestScreens"}},
	},
	{
		8, "style a page within it, which its policy refuses", "dashboard/templates/base.html",
		`<main id="main" tabindex="-1">`, `<main id="main" tabindex="-1" style="margin: 0">`,
		[]suite{{inBrowser, "TestOperatorWithoutScripts"}},
	},
	{
		8, "need a script for a form", "dashboard/templates/bulk.html",
		`<form class="begin" method="post"`, `<form class="begin" method="dialog"`,
		[]suite{{inBrowser, "TestOperatorWithoutScripts"}},
	},
}
