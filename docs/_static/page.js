// What the drawings share: elements by one call.
"use strict";

// make("td", { class: "dim" }, "text", element): an element with attributes and children. An attribute that
// is a function is an event's listener; one that is false, null or undefined is left out.
function make(tag, attributes, ...children) {
	const made = document.createElement(tag);

	for (const [name, value] of Object.entries(attributes || {})) {
		if (typeof value === "function")
			made.addEventListener(name, value);
		else if (value !== false && value !== null && value !== undefined)
			made.setAttribute(name, value);
	}
	made.append(...children.filter((child) => child !== null));
	return made;
}

// A <select> with a label before it. choices: [value, words] pairs.
function choice(label, choices, chosen, change) {
	return make(
		"label", {}, `${label} `,
		make(
			"select", { change: (event) => change(event.target.value) },
			...choices.map(([value, words]) => make("option", { value, selected: value === chosen && "" }, words)),
		),
	);
}
