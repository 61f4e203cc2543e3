// The page is whole without this file: it refreshes what is shown, and answers keys.
"use strict";
(() => {
	const root = document.body.dataset.root;
	const main = document.getElementById("main");
	const live = document.getElementById("live");
	const every = 5000;
	// Pages on which somebody is about to decide stand still, and so does a look into the broker;
	// what was asked wrongly gets no better answer.
	const still = ["bulk", "dead", "error"].includes(document.body.dataset.page) || !!main.querySelector(".note-bad[role=alert]");
	let paused = sessionStorage.getItem("ackbox-paused") === "yes";
	let timer = 0;

	// morph changes a into b where they differ, so that focus, ticks and open parts stay.
	// Not a.id: a form's is its input of that name.
	const id = (node) => (node.nodeType === Node.ELEMENT_NODE && node.getAttribute("id")) || "";
	function morph(a, b) {
		if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName || id(a) !== id(b)) {
			a.replaceWith(b);
			return;
		}
		if (a.nodeType !== Node.ELEMENT_NODE) {
			if (a.nodeValue !== b.nodeValue) a.nodeValue = b.nodeValue;
			return;
		}
		if (a.isEqualNode(b)) return;
		for (const { name, value } of [...b.attributes]) {
			if (a.getAttribute(name) !== value) a.setAttribute(name, value);
		}
		for (const { name } of [...a.attributes]) {
			const kept = name === "open" || name === "hidden" || name === "class" && a.hasAttribute("data-row");
			if (!b.hasAttribute(name) && !kept) a.removeAttribute(name);
		}
		const old = [...a.childNodes], fresh = [...b.childNodes];
		fresh.forEach((node, i) => (i < old.length ? morph(old[i], node) : a.append(node)));
		old.slice(fresh.length).forEach((node) => node.remove());
	}

	// busy: a refresh must not move what a hand is on.
	const busy = () => document.querySelector("main details.sure[open], [name=id]:checked, dialog[open]") ||
		document.activeElement?.matches("main input:not([type=checkbox])");

	async function refresh() {
		try {
			const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(15000) });
			if (!answer.ok) throw new Error(answer.status);
			const page = new DOMParser().parseFromString(await answer.text(), "text/html");
			const fresh = page.getElementById("main"), foot = page.querySelector(".foot time");
			if (busy() || paused) return;
			fresh.querySelector(".told")?.remove();
			main.querySelector(".told")?.remove();
			const at = current()?.querySelector("[data-open]")?.getAttribute("href");
			morph(main, fresh);
			document.querySelector(".foot time").replaceWith(foot);
			if (at) {
				rows().forEach((row) => row.classList.toggle("at", row.querySelector("[data-open]")?.getAttribute("href") === at));
			}
			ready();
			live.classList.remove("lost");
			live.querySelector(".live-text").textContent = "live";
		} catch {
			live.classList.add("lost");
			live.querySelector(".live-text").textContent = "no answer";
		}
	}

	function plan() {
		clearTimeout(timer);
		if (still || paused || document.hidden) return;
		timer = setTimeout(async () => {
			if (!busy()) await refresh();
			plan();
		}, every);
	}

	function pause(on) {
		paused = on;
		sessionStorage.setItem("ackbox-paused", on ? "yes" : "no");
		show();
		plan();
	}

	function show() {
		if (!live || still) return;
		live.hidden = false;
		live.setAttribute("aria-pressed", String(!paused));
		live.querySelector(".live-text").textContent = paused ? "paused" : "live";
	}

	const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
	const current = () => document.querySelector("[data-row].at");

	function step(by) {
		const all = rows();
		if (!all.length) return;
		const at = all.indexOf(current());
		const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
		all.forEach((row) => row.classList.toggle("at", row === next));
		next.scrollIntoView({ block: "nearest" });
		(next.querySelector("[data-open]") || next.querySelector("a, button, input"))?.focus({ preventScroll: true });
	}

	function tick(box, on) {
		box.checked = on;
		box.dispatchEvent(new Event("change", { bubbles: true }));
	}

	const keys = {
		"/": () => document.getElementById("search")?.focus(),
		j: () => step(1),
		k: () => step(-1),
		x: () => { const box = current()?.querySelector("[name=id]"); if (box) tick(box, !box.checked); },
		a: () => { const boxes = [...document.querySelectorAll("[name=id][type=checkbox]")], on = boxes.some((b) => !b.checked); boxes.forEach((b) => tick(b, on)); },
		p: () => pause(!paused),
		n: () => document.querySelector("[data-next]")?.click(),
		"?": () => document.getElementById("keys").showModal(),
	};
	let going = 0;
	document.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
		if (event.target.matches("input:not([type=checkbox]), textarea, select")) {
			if (event.key === "Escape") event.target.blur();
			return;
		}
		if (event.key === "Escape") {
			document.querySelectorAll("details.sure[open]").forEach((d) => { d.open = false; d.querySelector("summary").focus(); });
			return;
		}
		if (Date.now() - going < 1200) {
			going = 0;
			const to = [...document.querySelectorAll(".nav [data-key]")].find((a) => a.dataset.key === event.key);
			if (to) { event.preventDefault(); to.click(); return; }
		}
		if (event.key === "g") { going = Date.now(); return; }
		const act = keys[event.key];
		if (act) { event.preventDefault(); act(); }
	});

	// One open question at a time, and none when a click goes elsewhere.
	document.addEventListener("click", (event) => {
		document.querySelectorAll("details.sure[open]").forEach((d) => { if (!d.contains(event.target)) d.open = false; });
		const copy = event.target.closest("[data-copy]");
		if (copy) {
			// Without TLS there is no clipboard: the id is selected instead.
			const done = () => { copy.textContent = "copied"; };
			if (navigator.clipboard) navigator.clipboard.writeText(copy.dataset.copy).then(done);
			else getSelection().selectAllChildren(document.getElementById("job-id"));
		}
	});
	document.addEventListener("change", (event) => {
		if (event.target.matches("[data-all]")) {
			document.querySelectorAll("[name=id][type=checkbox]").forEach((box) => { box.checked = event.target.checked; });
		}
		count();
	});

	function count() {
		const said = document.querySelector(".ticked"), n = document.querySelectorAll("[name=id]:checked").length;
		if (!said) return;
		said.textContent = n ? n + " ticked:" : "Ticked:";
		said.closest("form").querySelectorAll(".bulkbar button:not([name=all])").forEach((b) => { b.disabled = n === 0; });
	}

	function ready() {
		document.querySelectorAll("[data-copy]").forEach((b) => { b.hidden = false; });
		count();
	}

	live?.addEventListener("click", () => pause(!paused));
	document.addEventListener("visibilitychange", plan);
	// What was done is said once: not again by a reload.
	const here = new URL(location);
	if (here.searchParams.has("did")) {
		["did", "changed", "of"].forEach((name) => here.searchParams.delete(name));
		history.replaceState(null, "", here);
	}
	ready();
	show();
	plan();
})();
