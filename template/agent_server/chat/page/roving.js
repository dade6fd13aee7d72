/** Makes what belongs together one stop of the Tab key: arrows lead from one part to the next. */

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Let arrows move the focus in `place`: along the links and buttons of a row, and from row to row,
 * if it has `rows`, which a selector finds.
 */
export function rove(place, rows = null) {
  place.addEventListener("focusin", ({ target }) => settle(place, target));
  place.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    const row = rows ? event.target.closest(rows) : place;
    const right = getComputedStyle(place).direction === "rtl" ? -1 : 1;
    const next = step[0] ? beside(row, event.target, step[0] * right) : rows && below(place, rows, row, step[1]);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  settle(place);
}

/** Make one part of `place` its stop: the one given, or what is current in it, or the first. */
export function settle(place, part = null) {
  const parts = partsOf(place);
  const stop = part ?? parts.find((each) => each.ariaCurrent === "page") ?? parts[0];
  for (const each of parts) each.tabIndex = each === stop ? 0 : -1;
}

const partsOf = (place) => [...place.querySelectorAll("a, button:enabled")];

function beside(row, part, step) {
  const parts = partsOf(row);
  return parts[parts.indexOf(part) + step];
}

function below(place, selector, row, step) {
  const rows = [...place.querySelectorAll(selector)];
  return partsOf(rows[rows.indexOf(row) + step] ?? row)[0];
}
