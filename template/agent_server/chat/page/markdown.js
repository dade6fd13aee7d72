/** Renders a model's Markdown as elements. This is the only place where text becomes markup. */

import { element } from "./dom.js";
import { escaped, typeset } from "./formulas.js";
import { frame } from "./frames.js";
import { extensions, hooks } from "./marks.js";
import { isTangled, toParts } from "./parts.js";
import "./vendor/dompurify.js";
import { marked } from "./vendor/marked.js";

const { DOMPurify } = globalThis; // no module: it leaves its name there
const BUDGET = 30; // milliseconds of a frame
const ROWS = 40; // of a table, in a frame
const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
    "ol", "p", "pre", "strong", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul", "var",
  ],
  ALLOWED_ATTR: ["align", "href", "start", "title"],
  ADD_URI_SAFE_ATTR: ["align", "start"],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  RETURN_DOM_FRAGMENT: true, // so nothing here assigns markup, and Trusted Types can forbid it
};
const DIRECTED = "p, li, h1, h2, h3, h4, h5, h6, blockquote, td, th";

marked.use({
  extensions,
  hooks,
  renderer: {
    // HTML is shown as text: a user who asks about a tag wants to see it.
    html: ({ text }) => (/^<br *\/?>$/i.test(text) ? "<br>" : escaped(text)),
    // Loading an image would tell its server who reads this, and whatever the URL contains.
    image(token) {
      const text = token.text || token.href;
      return this.link({ ...token, tokens: [{ type: "text", raw: text, text }] });
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** A lexer that takes a tangled paragraph as plain text. */
class Lexer extends marked.Lexer {
  inlineTokens(text, tokens = []) {
    if (!isTangled(text)) return super.inlineTokens(text, tokens);
    tokens.push({ type: "text", raw: text, text });
    return tokens;
  }
}

/**
 * Show `text` in `container`, as far as it gets in the frame that began at `now`; return whether
 * all is shown. Unchanged blocks are not rendered again, nor those in which the user selects text.
 */
export function showMarkdown(container, text, now) {
  const parts = toParts(text);
  for (const [index, part] of parts.entries()) {
    const place = container.children[index] ?? container.appendChild(element("div"));
    if (place.source !== part.source && !show(place, part, now + BUDGET)) return false;
  }
  while (container.children.length > parts.length) container.lastElementChild.remove();
  return true;
}

function show(place, { source, plain }, end) {
  if (performance.now() > end) return false;
  // Kept for the next frame: finding the blocks may take all of this one.
  if (place.lexed !== source) place.blocks = toBlocks(source, plain);
  place.lexed = source;
  const { blocks } = place;
  if (!blocks || place.className) place.replaceChildren();
  place.className = blocks ? "" : "plain";
  if (!blocks) place.textContent = source;
  else if (!showBlocks(place, blocks, end)) return false;
  Object.assign(place, { source, lexed: null, blocks: null });
  return true;
}

function showBlocks(place, blocks, end) {
  for (const [index, token] of blocks.entries()) {
    const old = place.children[index];
    if (old?.source === token.raw) continue;
    if (performance.now() > end || (old && isSelected(old))) return false;
    if (old && growTable(old, token)) {
      if (old.source !== token.raw) return false; // more rows follow in the next frame
      continue;
    }
    const first = token.type === "table" ? firstRows(token, 0) : token;
    const block = element("div", {}, toElements(first));
    Object.assign(block, { source: first === token ? token.raw : null, token: first });
    if (old) old.replaceWith(block);
    else place.append(block);
    if (first !== token) return false;
  }
  while (place.children.length > blocks.length) place.lastElementChild.remove();
  return true;
}

/** Whether the user is selecting text in a block, which would be lost with it. */
function isSelected(block) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(block, true);
}

/** Return a table with no more of its rows than can be added in one frame to those there are. */
function firstRows(token, there) {
  const some = there + ROWS;
  return token.rows.length > some ? { ...token, rows: token.rows.slice(0, some) } : token;
}

/** Add new rows of a table to those that are shown; return whether that is all that changes. */
function growTable(block, token) {
  const was = block.token;
  const grows = was?.type === "table" && token.type === "table" && token.raw.startsWith(was.raw);
  const body = grows && block.querySelector("tbody");
  if (!body) return false;
  const kept = was.rows.length - 1; // the last one may have been cut off
  const now = firstRows(token, kept);
  const rows = toElements({ ...now, rows: now.rows.slice(kept) }).querySelectorAll("tbody tr");
  body.lastElementChild.replaceWith(...rows);
  Object.assign(block, { source: now === token ? token.raw : null, token: now });
  return true;
}

/** Return the blocks of a text, or null if it is plain, or too deep for the parser. */
function toBlocks(text, plain) {
  if (plain) return null;
  try {
    const tokens = new Lexer({ ...marked.defaults }).lex(text);
    return tokens.filter(({ type }) => type !== "space" && type !== "def");
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return null;
  }
}

function toElements(token) {
  const fragment = DOMPurify.sanitize(marked.parser([token]), ALLOWED);
  for (const link of fragment.querySelectorAll("a")) {
    if (!link.href) link.replaceWith(...link.childNodes);
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  for (const part of fragment.querySelectorAll(DIRECTED)) part.dir = "auto";
  for (const wide of fragment.querySelectorAll("pre, table")) frame(wide, token);
  typeset(fragment);
  return fragment;
}
