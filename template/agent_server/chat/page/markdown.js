/** Renders a model's Markdown as elements. This is the only place where text becomes markup. */

import { element } from "./dom.js";
import DOMPurify from "./vendor/dompurify.js";
import { marked } from "./vendor/marked.js";

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

/** Show `text` in `container`; unchanged blocks are not rendered again. */
export function showMarkdown(container, text) {
  const tokens = marked.lexer(text);
  const blocks = tokens.filter(({ type }) => type !== "space" && type !== "def");
  blocks.forEach((token, index) => {
    const old = container.children[index];
    if (old?.source === token.raw) return;
    const block = element("div", {}, toElements(token));
    block.source = token.raw;
    if (old) old.replaceWith(block);
    else container.append(block);
  });
  while (container.children.length > blocks.length) container.lastElementChild.remove();
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
