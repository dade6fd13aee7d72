/** Renders a model's Markdown as elements. This is the only place where text becomes markup. */

import { element } from "./dom.js";
import { isTangled, toParts } from "./parts.js";
import DOMPurify from "./vendor/dompurify.js";
import { marked } from "./vendor/marked.js";

const BUDGET = 30; // milliseconds of a frame
const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
    "ol", "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["align", "href", "start", "title"],
  ADD_URI_SAFE_ATTR: ["align", "start"],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  RETURN_DOM_FRAGMENT: true, // so nothing here assigns markup, and Trusted Types can forbid it
};
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escaped = (text) => text.replace(/[&<>]/g, (character) => ENTITIES[character]);

marked.use({
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
 * all is shown. Unchanged blocks are not rendered again.
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
    if (performance.now() > end) return false;
    const block = element("div", {}, toElements(token));
    block.source = token.raw;
    if (old) old.replaceWith(block);
    else place.append(block);
  }
  while (place.children.length > blocks.length) place.lastElementChild.remove();
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
  for (const wide of fragment.querySelectorAll("pre, table")) frame(wide);
  return fragment;
}

/** Let a wide element scroll on its own, also by keyboard; give code a copy button. */
function frame(wide) {
  const box = element("div", { class: "wide" });
  wide.replaceWith(box);
  if (wide.localName === "pre") {
    const button = element("button", { type: "button", class: "copy", click: copy }, "Copy");
    wide.tabIndex = 0;
    box.append(button, wide);
  } else {
    box.append(element("div", { class: "scroll", tabindex: 0 }, wide));
  }
}

async function copy({ target }) {
  try {
    await navigator.clipboard.writeText(target.nextSibling.textContent);
    target.textContent = "Copied";
  } catch {
    target.textContent = "Not allowed";
  }
  setTimeout(() => (target.textContent = "Copy"), 1500);
}
