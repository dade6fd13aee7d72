/** Sets formulas as MathML, which the browser lays out. Loaded with the first of them. */

import { element } from "./dom.js";
import { t } from "./words.js";
import temml from "./vendor/temml.js";

const BUDGET = 8; // milliseconds of a frame
const KEPT = 300; // formulas: those of a growing paragraph are shown again and again
// 40 elements in one another, each of which the browser measures more than once.
const TOO_DEEP = `${"* > ".repeat(39)}*`;
const MANY = 1000; // elements of a formula
// What could make a short source long: a formula with it stays as it was written.
const DEFINES = /\\(?:[egx]?def|let|futurelet|global|long|(?:re)?newcommand|providecommand)(?![a-z])/i;
const OPTIONS = { throwOnError: true, trust: false, maxSize: [20, 200], maxExpand: 500 };
const MATHML = "http://www.w3.org/1998/Math/MathML";
// All that a formula may be made of: nothing has an address or a name, or can be pressed.
const TAGS = new Set(
  `math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow mspace msqrt
  mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none`.split(/\s+/),
);
const ATTRIBUTES = new Set(
  `accent columnalign depth display displaystyle fence form height largeop linethickness lspace
  mathbackground mathcolor mathsize mathvariant maxsize minsize movablelimits rowspacing rspace
  scriptlevel separator stretchy symmetric voffset width`.split(/\s+/),
);

const made = new Map();
let waiting = [];

document.head.append(element("link", { rel: "stylesheet", href: "static/math.css" }));

/** Set formulas, as many as there is time for; the others follow in later frames. */
export function typeset(places) {
  const idle = !waiting.length;
  waiting.push(...setSome([...places]));
  if (idle && waiting.length) requestAnimationFrame(goOn);
}

function goOn() {
  waiting = setSome(waiting.filter(({ isConnected }) => isConnected));
  if (waiting.length) requestAnimationFrame(goOn);
}

/** Set formulas until the time is over; return the others. */
function setSome(places) {
  const end = performance.now() + BUDGET;
  let count = 0;
  while (count < places.length && performance.now() < end) set(places[count++]);
  return places.slice(count);
}

function set(place) {
  const source = place.textContent;
  if (!made.has(source)) keep(source, make(source));
  const math = made.get(source)?.cloneNode(true);
  if (!math) return;
  place.replaceChildren(math);
  place.className = "set";
  const scrolls = { tabIndex: 0, role: "group", ariaLabel: t("formula") };
  if (math.getAttribute("display") === "block") Object.assign(place, scrolls);
}

function keep(source, math) {
  if (made.size >= KEPT) made.delete(made.keys().next().value);
  made.set(source, math);
}

/** Return a formula as an element, or null if it can't be one. */
function make(source) {
  if (DEFINES.test(source)) return null;
  const displayMode = /^(?:\$\$|\\\[)/.test(source);
  const sign = /^\$(?!\$)/.test(source) ? 1 : 2;
  const options = { ...OPTIONS, displayMode, wrap: displayMode ? "none" : "tex" };
  let math;
  try {
    [math] = build(temml.__renderToMathMLTree(source.slice(sign, -sign), options));
  } catch {
    return null; // whatever is wrong with it
  }
  if (math?.localName !== "math") return null; // the parser made something else of it
  const endless = math.querySelectorAll("*").length > MANY || math.querySelector(TOO_DEEP);
  return endless ? null : math;
}

/** Return what a node of Temml's is on the page; throws a TypeError for what no formula needs. */
function build({ type, text, children, attributes, classes, style }) {
  if (typeof text === "string") return [text];
  const inside = children.flatMap(build);
  if (!type) return inside;
  if (!TAGS.has(type)) throw new TypeError(type);
  const made = document.createElementNS(MATHML, type);
  for (const [name, value] of Object.entries(attributes)) {
    if (ATTRIBUTES.has(name)) made.setAttribute(name, value);
  }
  if (classes.length) made.setAttribute("class", classes.join(" "));
  Object.assign(made.style, style);
  made.append(...inside);
  return [made];
}
