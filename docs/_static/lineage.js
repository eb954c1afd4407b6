// The lineage browser: window.LINEAGE (docs/site/lineage.py) as a list of structs, and one of them drawn beside
// its predecessor. All of its state is in the address: #STRUCT@GENERATION?abi=..&kernel=..&ioctl=..&find=..&broke=1
"use strict";

(() => {
	const data = window.LINEAGE;
	const root = document.getElementById("lineage");
	const structs = new Map(data.structs.map((struct) => [struct.name, struct]));
	const ioctls = [...new Set(data.structs.flatMap(({ states }) => states.flatMap((each) => each.ioctls)))].sort();
	const ROW_BYTES = 8;
	const SEVERITY = ["COMPATIBLE", "COMPATIBLE_IF_ZERO", "BREAKING"];
	const WORDS = { COMPATIBLE: "compatible", COMPATIBLE_IF_ZERO: "if zero", BREAKING: "breaking" };

	const worst = (...verdicts) => verdicts.sort((a, b) => SEVERITY.indexOf(b) - SEVERITY.indexOf(a))[0];

	// ---------------------------------------------------------------- state

	function fromAddress() {
		// mail programs write @ and ? as %40 and %3F
		const [place, query] = location.hash.slice(1).replace(/%40/, "@").replace(/%3f/i, "?").split("?");
		const [struct, generation] = place.split("@");
		const given = new URLSearchParams(query || "");
		const kernel = given.get("kernel") || "";
		const abi = given.get("abi") || "";
		const ioctl = given.get("ioctl") || "";

		return {
			struct, generation,
			abi: data.abis.includes(abi) ? abi : data.abis[0],
			kernel: kernel in data.kernels || kernel in data.generations ? kernel : "",
			ioctl: ioctls.includes(ioctl) ? ioctl : "", find: given.get("find") || "", broke: given.get("broke") === "1",
		};
	}

	function toAddress(state) {
		const query = new URLSearchParams();

		for (const name of ["kernel", "ioctl", "find"])
			if (state[name])
				query.set(name, state[name]);
		if (state.abi !== data.abis[0])
			query.set("abi", state.abi);
		if (state.broke)
			query.set("broke", "1");
		return `#${state.struct}@${state.generation}${query.size ? `?${query}` : ""}`;
	}

	// ---------------------------------------------------------------- what the filters leave

	const broke = (state) => state.since && worst(state.since.old, state.since.new) === "BREAKING";

	// The states of a struct that the filters leave.
	function fitting(struct, state) {
		const generations = data.kernels[state.kernel] || (state.kernel ? [state.kernel] : null);

		return struct.states.filter((each) =>
			(!generations || generations.includes(each.generation))
			&& (!state.ioctl || each.ioctls.includes(state.ioctl))
			&& (!state.broke || broke(each)));
	}

	function found(struct, state) {
		const words = state.find.toLowerCase();
		const fields = () => layoutOf(struct.states.at(-1), state.abi).fields.some(([name]) => name.includes(words));

		return fitting(struct, state).length > 0 && (!words || struct.name.includes(words) || fields());
	}

	// The state with a struct and a generation that the filters leave; the first of the list if it has none.
	function settled(state) {
		const left = data.structs.filter((struct) => found(struct, state));
		const struct = left.find((each) => each.name === state.struct) || left[0];

		if (!struct)
			return { ...state, left, struct: "", generation: "" };
		const states = fitting(struct, state);
		const chosen = states.find((each) => each.generation === state.generation) || states.at(-1);

		return { ...state, left, struct: struct.name, generation: chosen.generation };
	}

	function layoutOf(state, abi) {
		const number = data.abis.indexOf(abi);

		return data.layouts[state.layouts.find(([, abis]) => abis.includes(number))[0]];
	}

	// ---------------------------------------------------------------- one drawing

	// Field -> the worst of what was found about it.
	function marks(since) {
		const marked = new Map();

		for (const [field, , , old, now] of since ? since.findings : [])
			marked.set(field, worst(old, now, marked.get(field) || "COMPATIBLE"));
		return marked;
	}

	function drawing(layout, marked) {
		const grid = make("div", { class: "bytes", role: "img", "aria-label": layout.fields.map(
			([name, offset, size]) => `${name}: ${size} bytes at ${offset}`).join("; ") });
		let line = 1;
		let next = 0;

		for (let i = 0; i < Math.min(ROW_BYTES, layout.size); i++)
			grid.append(make("span", { class: "scale", style: `grid-row: 1; grid-column: ${i + 2}` }, `${i}`));
		for (const row of layout.rows) {
			const start = row[0][1] - row[0][1] % ROW_BYTES;

			if (start > next)
				grid.append(make("span", { class: "scale", style: `grid-row: ${++line}; grid-column: 1` }, "…"));
			next = start + ROW_BYTES;
			grid.append(make("span", { class: "scale", style: `grid-row: ${++line}; grid-column: 1` }, `${start}`));
			for (const piece of row)
				grid.append(cell(layout, piece, line, marked));
		}
		for (const [name, offset, , kind] of layout.cells)
			if (kind === "tail")
				grid.append(
					make("span", { class: "scale", style: `grid-row: ${++line}; grid-column: 1` }, `${offset}`),
					make("span", { class: "cell tail", style: `grid-row: ${line}; grid-column: 2 / -1` }, `${name}[]`),
				);
		return grid;
	}

	// A name that has room, or what of it comes after the structs that it is in.
	function fit(name, bytes) {
		return name.length <= 8 * bytes ? name : name.split(".").at(-1);
	}

	function cell(layout, [number, offset, size], line, marked) {
		const [name, first, bytes, kind] = layout.cells[number];
		const verdict = name && marked.get(name);
		const place = `${name || "hole"}: bytes ${first} to ${first + bytes - 1}`;

		return make(
			"span", {
				class: `cell ${kind} ${verdict ? `changed ${verdict}` : ""}`,
				style: `grid-row: ${line}; grid-column: ${offset % ROW_BYTES + 2} / span ${size}`, title: place,
			},
			offset === first ? fit(name, size) || "hole" : "",
		);
	}

	function figure(name, state, abi, marked) {
		const layout = layoutOf(state, abi);
		const same = state.layouts.find(([number]) => data.layouts[number] === layout)[1].length;

		return make(
			"figure", {},
			make(
				"figcaption", {}, make("b", {}, `${name}@${state.generation}`), ` ${layout.size} bytes, aligned to `
				+ `${layout.align}`, make("br"), make("span", { class: "dim" }, `${data.generations[state.generation]}; `
				+ `the same on ${same} of ${data.abis.length} ABIs`),
			),
			drawing(layout, marked),
		);
	}

	// ---------------------------------------------------------------- one struct

	const badge = (verdict) => make("span", { class: `badge ${verdict}` }, WORDS[verdict]);

	const row = (kind, cells) => make("tr", {}, ...cells.map((each) => make(kind, {}, each)));

	const table = (heads, rows) => make(
		"div", { class: "table-wrapper" },
		make("table", { class: "docutils" }, make("thead", {}, row("th", heads)), make("tbody", {},
			...rows.map((each) => row("td", each)))),
	);

	function changes(since) {
		if (!since)
			return [make("p", {}, "The first of its name.")];
		const verdict = make(
			"p", {}, "Old programs on the new kernel: ", badge(since.old), ", new programs on the old kernel: ",
			badge(since.new), since.contract && `. Contract: ${since.contract}.`,
		);

		if (!since.findings.length)
			return [verdict, make("p", {}, "Nothing changed.")];
		return [verdict, table(["field", "change", "why", "old on new", "new on old"], since.findings.map(
			([field, change, why, old, now]) => [make("code", {}, field || "the struct"), change, why, badge(old), badge(now)]))];
	}

	function timeline(struct, state, show) {
		const states = fitting(struct, state);

		return make("div", { class: "timeline", role: "group", "aria-label": "generations" }, ...states.map((each) => {
			const verdict = each.since && each.since.findings.length ? worst(each.since.old, each.since.new) : "";
			const chosen = each.generation === state.generation;

			return make(
				"button", { class: verdict, "aria-pressed": `${chosen}`,
					click: () => show({ ...state, generation: each.generation }) },
				each.generation, make("small", {}, !each.since ? "first" : verdict ? WORDS[verdict] : "unchanged"),
			);
		}));
	}

	function fields(layout) {
		return make("details", {}, make("summary", {}, `All ${layout.fields.length} fields, alternatives of unions too`),
			table(["offset", "bytes", "field", "type"], layout.fields.map(([name, offset, size, type, shared, bits]) => [
				`${offset}`, bits ? `${bits} bits` : `${size}`, make("code", {}, name), shared ? `${type}, in a union` : type,
			])));
	}

	function details(state, show) {
		const struct = structs.get(state.struct);

		if (!struct)
			return [make("p", {}, "No struct fits.")];
		const now = struct.states.find((each) => each.generation === state.generation);
		const { since } = now;
		const before = since && structs.get(since.struct).states.find((each) => each.generation === since.generation);
		const marked = marks(since);

		return [
			make("h2", {}, `struct ${struct.name}`),
			timeline(struct, state, show),
			make("div", { class: "pair" },
				before ? figure(since.struct, before, state.abi, marked) : null,
				figure(struct.name, now, state.abi, marked)),
			...changes(since),
			now.ioctls.length ? make("p", {}, `Commands: ${now.ioctls.join(", ")}.`) : "",
			fields(layoutOf(now, state.abi)),
		];
	}

	// ---------------------------------------------------------------- the page

	function list(state, show) {
		const option = (struct) => make("li", {
			role: "option", id: `struct-${struct.name}`, "aria-selected": `${struct.name === state.struct}`,
			class: struct.states.some(broke) ? "broke" : "", click: () => show({ ...state, struct: struct.name }),
		}, struct.name);

		return make("ul", {
			class: "structs", role: "listbox", tabindex: "0", "aria-label": "structs",
			"aria-activedescendant": `struct-${state.struct}`,
		}, ...state.left.map(option));
	}

	function filters(state, show) {
		const kernels = Object.keys(data.kernels).map((kernel) => [kernel, `Linux ${kernel}`]);
		const generations = Object.keys(data.generations).map((name) => [name, name]);
		const set = (name) => (value) => show({ ...state, [name]: value });

		return make(
			"form", { class: "filters", submit: (event) => event.preventDefault() },
			make("label", {}, "name or field ", make("input", {
				type: "search", value: state.find, id: "find", input: (event) => show({ ...state, find: event.target.value }),
			})),
			choice("kernel", [["", "all"], ...kernels, ...generations], state.kernel, set("kernel")),
			choice("ABI", data.abis.map((abi) => [abi, abi]), state.abi, set("abi")),
			choice("ioctl", [["", "all"], ...ioctls.map((name) => [name, name])], state.ioctl, set("ioctl")),
			make("label", {}, make("input", {
				type: "checkbox", checked: state.broke && "", change: (event) => show({ ...state, broke: event.target.checked }),
			}), " only what broke"),
			make("span", { class: "dim", role: "status" }, `${state.left.length} of ${data.structs.length} structs`),
		);
	}

	let current = null;

	// Draw a state. What had the focus has it again, and the list stays where it was scrolled to.
	function show(wanted) {
		const state = settled(wanted);
		const place = (element) => element && `${element.tagName}#${element.id}.${element.className} ${element.closest("label")?.textContent}`;
		const focused = place(root.contains(document.activeElement) ? document.activeElement : null);
		const scrolled = root.querySelector(".structs")?.scrollTop || 0;
		const caret = document.activeElement?.selectionStart;

		current = state;
		history.replaceState(null, "", toAddress(state));
		root.replaceChildren(
			filters(state, show),
			make("div", { class: "browser" }, list(state, show), make("div", { class: "details" }, ...details(state, show))),
		);
		root.querySelector(".structs").scrollTop = scrolled;
		root.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
		const again = [...root.querySelectorAll("input, select, button, ul")].find((each) => place(each) === focused);
		again?.focus();
		if (again?.type === "search")
			again.setSelectionRange(caret, caret);
	}

	function stepped(names, name, by) {
		return names[Math.min(Math.max(names.indexOf(name) + by, 0), names.length - 1)];
	}

	root.addEventListener("keydown", (event) => {
		if (event.target.matches("input, select") || event.altKey || event.ctrlKey || event.metaKey || !current.struct)
			return;
		const by = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];

		if (!by)
			return;
		event.preventDefault();
		if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
			const names = fitting(structs.get(current.struct), current).map((each) => each.generation);
			show({ ...current, generation: stepped(names, current.generation, by) });
		} else {
			show({ ...current, struct: stepped(current.left.map((each) => each.name), current.struct, by) });
		}
	});
	window.addEventListener("hashchange", () => show(fromAddress()));
	show(fromAddress());
})();
