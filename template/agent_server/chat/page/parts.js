/** Divides a model's text into parts that can each be laid out in bounded time. */

import { replaceFormulas } from "./formulas.js";

const LONG = 8_000; // characters, after which a part ends at a blank line
const MOST = 24_000; // characters of a part that can be laid out as Markdown
const MOST_MARKS = 200; // in one paragraph, cell or heading

// More than 16 quotes and lists in one another, or a list item that is indented 24 times.
const MARKER = String.raw`(?:[-+*]|\d{1,9}[.)])(?=[ \t]|$)`;
const DEEP = new RegExp(
  String.raw`^(?:[ \t]*(?:>|${MARKER})){17}|^(?:> ?)*(?: {2}|\t){24,} ?${MARKER}`,
  "m",
);
const FENCE_OR_GAP = /^ {0,3}(?:`{3}|~{3})|\n[ \t]*\n/gm;
const MARKS = /[*_~`[\]<>!\\@:&|$]/g;

/** Return the parts, each with its `source`; a `plain` one would take too long as Markdown. */
export function toParts(text) {
  return divide(text).flatMap((source) => {
    const plain = source.length > MOST || DEEP.test(source);
    return plain ? slices(source).map((slice) => ({ source: slice, plain })) : { source, plain };
  });
}

/** Whether the marks of one paragraph are too many to find which belong together. */
export function isTangled(text) {
  if (text.length <= MOST_MARKS) return false;
  let marks = 0;
  MARKS.lastIndex = 0;
  const prose = replaceFormulas(text, () => "$"); // a formula is one mark, whatever is in it
  while (marks <= MOST_MARKS && MARKS.test(prose)) marks += 1;
  return marks > MOST_MARKS;
}

/** Divide a text at blank lines that are in no block of code. */
function divide(text) {
  const parts = [];
  let start = 0;
  let isCode = false;
  for (const { 0: found, index } of text.length > LONG ? text.matchAll(FENCE_OR_GAP) : []) {
    if (!found.endsWith("\n")) isCode = !isCode;
    else if (!isCode && index - start > LONG) {
      parts.push(text.slice(start, index + found.length));
      start = index + found.length;
    }
  }
  return [...parts, text.slice(start)];
}

/** Cut a text, at line ends if it has any, so that the browser lays out only what is in view. */
function slices(text) {
  const found = [];
  for (let start = 0; start < text.length; ) {
    const slice = text.slice(start, start + LONG);
    found.push(slice.slice(0, slice.lastIndexOf("\n") + 1 || LONG));
    start += found.at(-1).length;
  }
  return found;
}
