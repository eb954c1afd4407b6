// The walk explained: what `iommu-abi translate --explain --json` says, drawn step by step. window.WALKS has
// examples (docs/site/walks.py); any other output of the command can be pasted. Address: #NAME/STEP
"use strict";

(() => {
	const root = document.getElementById("walk");
	const TABLES = { device: "device table", pasid: "PASID table", s1: "stage 1", s2: "stage 2" };
	const SHORT = { device: "device", pasid: "PASID", s1: "S1", s2: "S2" };
	const WANTED = { s1_entry: "stage 1", s1_update: "flags of stage 1", pasid_entry: "PASID table" };
	const PAGE = 12n;

	// ---------------------------------------------------------------- what a walk is made of

	// Rows of the table: the stage-2 walk for an entry, then the entry; the last row is the data's.
	function rowsOf(answer) {
		const rows = [];
		let through = [];

		answer.trace.forEach((step, i) => {
			if (step.stage === "s2") {
				through.push(i);
				return;
			}
			rows.push({ name: `${TABLES[step.stage]}, level ${step.level}`, gpa: through.length ? step.gpa : "", through, entry: i });
			through = [];
		});
		const first = through.length && answer.trace[through[0]];

		if (first && first.purpose !== "data")
			rows.push({ name: `${WANTED[first.purpose]}, level ${first.for_level}`, gpa: answer.input, through, entry: null });
		else if (answer.ok || through.length)
			rows.push({ name: "data", gpa: through.length ? answer.gpa || answer.input : "", through, entry: null, data: true });
		return rows;
	}

	const pageOf = (address) => BigInt(address) >> PAGE << PAGE;
	const hex = (address) => `0x${address.toString(16)}`;
	const label = (step) => `${SHORT[step.stage]} L${step.level}`;

	// The pages of both address spaces, lowest first: what lies in each, and at which step it is reached.
	function spacesOf(answer, rows) {
		const host = new Map();
		const guest = new Map();
		const put = (space, address, what, step) => {
			const page = pageOf(address);
			const known = space.get(page) || { what: new Set(), step };

			known.what.add(what);
			space.set(page, known);
		};

		for (const row of rows) {
			const at = row.entry ?? (row.data && answer.ok ? answer.trace.length : row.through.at(-1));

			for (const i of row.through)
				put(host, answer.trace[i].hpa, label(answer.trace[i]), i);
			if (row.gpa)
				put(guest, row.gpa, row.entry === null ? row.name.split(",")[0] : label(answer.trace[row.entry]), row.through[0]);
			if (row.entry !== null)
				put(host, answer.trace[row.entry].hpa, label(answer.trace[row.entry]), at);
			else if (row.data && answer.ok)
				put(host, answer.hpa, "data", at);
		}
		const sorted = (space) => [...space].sort(([a], [b]) => (a < b ? -1 : 1));

		return { guest: sorted(guest), host: sorted(host) };
	}

	// Which guest page leads to which host page, and from which step on that is known.
	function linksOf(answer, rows) {
		return rows.filter((row) => row.gpa && (row.entry !== null || answer.ok)).map((row) => ({
			from: pageOf(row.gpa), to: pageOf(row.entry === null ? answer.hpa : answer.trace[row.entry].hpa),
			step: row.entry ?? answer.trace.length,
		}));
	}

	// ---------------------------------------------------------------- the two drawings

	function whole({ access, iova, rid, pasid }) {
		return `${access} of IOVA ${iova} by requester ${rid}${pasid === null ? "" : `, PASID ${pasid}`}`;
	}

	function matrix(answer, rows, state, go) {
		const top = Math.max(-1, ...answer.trace.filter((step) => step.stage === "s2").map((step) => step.level));
		const levels = Array.from({ length: top + 1 }, (_, i) => top - i);
		const last = answer.trace.length;
		const button = (i, words, hint) => make("button", {
			class: i === state.step ? "now" : i < state.step ? "done" : "", "aria-current": i === state.step && "step",
			"data-stopped": i < last && answer.trace[i].stopped && "", title: hint, click: () => go(i),
		}, words);
		const cell = (i) => (i === undefined ? null : button(i, `${i + 1}`, answer.trace[i].entry));
		const end = (row) => {
			if (row.entry !== null)
				return cell(row.entry);
			return row.data && answer.ok ? button(last, "HPA", `data at HPA ${answer.hpa}`) : null;
		};

		return make(
			"div", { class: "table-wrapper" }, make(
				"table", { class: "matrix" },
				make("caption", {}, whole(answer.request)),
				make("thead", {}, make("tr", {}, make("th", {}, "to find"), ...levels.map((level) =>
					make("th", {}, `S2 L${level}`)), make("th", {}, "entry"))),
				make("tbody", {}, ...rows.map((row) => make(
					"tr", {}, make("th", { scope: "row" }, row.name, row.gpa ? make("small", {}, `GPA ${row.gpa}`) : ""),
					...levels.map((level) => make("td", {}, cell(row.through.find((i) => answer.trace[i].level === level)) || "")),
					make("td", {}, end(row) || ""),
				))),
			),
		);
	}

	function svg(tag, attributes, ...children) {
		const made = document.createElementNS("http://www.w3.org/2000/svg", tag);

		for (const [name, value] of Object.entries(attributes))
			made.setAttribute(name, value);
		made.append(...children);
		return made;
	}

	const ROW = 26;
	const WIDTH = 400;
	const BOX = 165;

	// Two columns of pages, guest-physical and host-physical, and lines between them.
	function spaces(answer, rows, state) {
		const { guest, host } = spacesOf(answer, rows);
		const now = answer.trace[state.step];
		const row = rows.find((each) => each.through.includes(state.step) || each.entry === state.step) || rows.at(-1);
		const wanted = row.gpa ? pageOf(row.gpa) : null;
		const read = now ? pageOf(now.hpa) : answer.ok ? pageOf(answer.hpa) : null;
		const height = ROW * (Math.max(guest.length, host.length) + 1) + 8;
		const y = (pages, page) => ROW * (pages.findIndex(([each]) => each === page) + 1) + ROW / 2;
		const boxes = (pages, x, current) => pages.map(([page, { what, step }], i) => svg(
			"g", { class: `page ${page === current ? "now" : step <= state.step ? "done" : ""}` },
			svg("rect", { x, y: ROW * (i + 1) + 2, width: BOX, height: ROW - 4, rx: 3 }),
			svg("text", { x: x + 6, y: ROW * (i + 1) + 17 }, `${hex(page)} ${[...what].join(", ")}`),
		));
		const heading = (x, words) => svg("text", { x, y: 16, class: "heading" }, words);
		const lines = linksOf(answer, rows).map(({ from, to, step }) => svg("line", {
			class: step === state.step ? "now" : step < state.step ? "done" : "later",
			x1: BOX, y1: y(guest, from), x2: WIDTH - BOX, y2: y(host, to),
		}));

		return svg(
			"svg", { viewBox: `-1 0 ${WIDTH + 2} ${height}`, class: "spaces", role: "img",
				"aria-label": `${guest.length} pages of guest-physical and ${host.length} of host-physical memory` },
			...(guest.length ? [heading(0, "guest-physical pages")] : []), heading(WIDTH - BOX, "host-physical pages"),
			...lines, ...boxes(guest, 0, wanted), ...boxes(host, WIDTH - BOX, read),
		);
	}

	// ---------------------------------------------------------------- one step in words

	function purpose(row) {
		if (row.data)
			return `to translate the data's GPA ${row.gpa}`;
		return `to read the entry of ${row.name}, at GPA ${row.gpa}`;
	}

	function sentence(answer, rows, state) {
		const step = answer.trace[state.step];
		const { request } = answer;
		const asked = `${request.access} of IOVA ${request.iova}`;

		if (!step && answer.ok)
			return `${asked} reaches HPA ${answer.hpa}${rows.at(-1).gpa ? ` by GPA ${answer.gpa}` : ""}: `
				+ `${answer.page_size / 1024} KiB, ${answer.access}.`;
		if (!step && answer.target === "interrupt")
			return `${asked} is an interrupt: no memory is reached.`;
		if (!step)
			return `${asked} is refused: ${answer.reason.replaceAll("_", " ")}, ${TABLES[answer.stage]} level ${answer.level}.`;
		const row = rows.find((each) => each.through.includes(state.step));
		const place = step.gpa === step.hpa ? `HPA ${step.hpa}` : `GPA ${step.gpa}, which is HPA ${step.hpa}`;

		return `${step.entry}, at ${place}${row ? `, ${purpose(row)}` : ""}${step.stopped ? ". The walk stops here." : "."}`;
	}

	function fields(step) {
		const shown = (all) => make("tbody", {}, ...step.fields
			.filter((field) => all || field.meaning || BigInt(field.value))
			.map(({ name, bits: [high, low], value, meaning }) => make(
				"tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, high === low ? `${low}` : `${high}:${low}`),
				make("td", {}, make("code", {}, value)), make("td", {}, meaning),
			)));
		const heads = ["field", "bits", "value", "meaning"].map((head) => make("th", {}, head));
		const table = make("table", { class: "docutils" }, make("thead", {}, make("tr", {}, ...heads)), shown(false));
		const all = make("input", { type: "checkbox", change: () => table.tBodies[0].replaceWith(shown(all.checked)) });
		const sets = step.raw === step.updated ? "" : `; hardware leaves ${step.updated}`;

		return make(
			"div", {}, make("p", {}, "raw ", make("code", {}, step.raw), `, ${step.len} bytes${sets}. `,
				make("label", {}, all, " fields that are 0 too")),
			make("div", { class: "table-wrapper" }, table),
		);
	}

	// ---------------------------------------------------------------- the page

	const example = (name) => window.WALKS.find((walk) => walk.name === name) || window.WALKS[0];

	function fromAddress() {
		const [name, step] = location.hash.slice(1).split("/");

		return { walk: example(name), step: Math.max(0, Number.parseInt(step, 10) - 1 || 0) };
	}

	const isHex = (value) => /^0x[0-9a-f]+$/.test(value);
	const isField = (field) => Array.isArray(field?.bits) && isHex(field.value);
	const isStep = (step) => step?.stage in TABLES && Number.isInteger(step.level) && Array.isArray(step.fields)
		&& [step.gpa, step.hpa, step.raw, step.updated].every(isHex) && step.fields.every(isField);

	// A pasted answer; an Error says what is wrong with it.
	function own(text) {
		const answer = JSON.parse(text);

		if (!Array.isArray(answer?.trace) || !answer.trace.length || !answer.request)
			throw new Error("there is no trace in it: translate needs --explain and --json");
		if (!answer.trace.every(isStep))
			throw new Error("its trace is not that of translate --explain --json");
		return { name: "", title: "pasted", answer };
	}

	function pasting(show) {
		const said = make("p", { role: "alert" });
		const area = make("textarea", { rows: 4, id: "pasted", placeholder: "{ \"ok\": true, \"trace\": [ ... ] }" });
		const draw = () => {
			try {
				show({ walk: own(area.value), step: 0 });
			} catch (error) {
				said.textContent = `This cannot be drawn: ${error.message}.`;
			}
		};

		return make(
			"details", {}, make("summary", {}, "A walk of yours"),
			make("p", {}, "The output of ", make("code", {}, "iommu-abi translate ... --explain --json"), "; it stays in this page."),
			make("label", { for: "pasted" }, "JSON "), area, make("p", {}, make("button", { click: draw }, "draw")), said,
		);
	}

	function source(walk) {
		if (!walk.command)
			return "";
		return make(
			"details", {}, make("summary", {}, "Try it: the image and the command"),
			make("p", {}, make("a", { href: walk.image, download: "" }, walk.image.split("/").at(-1))),
			make("pre", {}, walk.command),
		);
	}

	let current = null;

	function show(wanted) {
		const { walk } = wanted;
		const last = walk.answer.trace.length;
		const state = { walk, step: Math.min(Math.max(wanted.step, 0), last) };
		const rows = rowsOf(walk.answer);
		const go = (step) => show({ ...state, step });
		const kept = current && current.walk === walk ? root.querySelector(".below") : null;
		const focused = root.contains(document.activeElement) && document.activeElement.dataset.role;
		const control = (role, words, step, off) =>
			make("button", { "data-role": role, "aria-label": role, disabled: off && "", click: () => go(step) }, words);

		current = state;
		if (walk.name)
			history.replaceState(null, "", `#${walk.name}/${state.step + 1}`);
		root.replaceChildren(
			make(
				"div", { class: "steps", role: "group", "aria-label": "steps" },
				choice("walk", [...window.WALKS, ...(walk.name ? [] : [walk])].map(({ name, title }) => [name, title]), walk.name,
					(name) => show({ walk: example(name), step: 0 })),
				control("first", "«", 0, state.step === 0), control("back", "‹", state.step - 1, state.step === 0),
				control("next", "›", state.step + 1, state.step === last), control("last", "»", last, state.step === last),
				make("input", { type: "range", min: 0, max: last, value: state.step, "aria-label": "step", "data-role": "step",
					input: (event) => go(Number(event.target.value)) }),
				make("span", { class: "dim" }, `${state.step + 1} of ${last + 1}`),
			),
			make("p", { class: `said ${state.step === last && walk.answer.reason ? "BREAKING" : ""}`, role: "status" },
				sentence(walk.answer, rows, state)),
			make("div", { class: "both" }, matrix(walk.answer, rows, state, go), spaces(walk.answer, rows, state)),
			state.step < last ? fields(walk.answer.trace[state.step]) : "",
			kept || make("div", { class: "below" }, source(walk), pasting(show)),
		);
		root.querySelector(`[data-role="${focused}"]:not(:disabled)`)?.focus();
	}

	root.addEventListener("keydown", (event) => {
		if (event.target.matches("select, textarea, input[type=range]") || event.altKey || event.ctrlKey || event.metaKey)
			return;
		const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];

		if (by) {
			event.preventDefault();
			const { walk, step } = current;
			show({ walk, step: Math.min(Math.max(step + by, 0), walk.answer.trace.length) });
			root.querySelector("[aria-current]")?.focus();
		}
	});
	window.addEventListener("hashchange", () => show(fromAddress()));
	show(fromAddress());
})();
