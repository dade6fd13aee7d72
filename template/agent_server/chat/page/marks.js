/** What models write besides plain Markdown: emphasis in texts without spaces, footnotes, formulas. */

import { escaped, extensions as formulas, replaceFormulas } from "./formulas.js";

// Letters that no space divides, and their punctuation, beside which Markdown sees no emphasis.
const EAST_ASIAN = /[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef\u2018-\u201d]/;
const STRONG = /^\*\*(?=[^\s*])([^*\n]{1,400}?[^\s*])\*\*(?!\*)|^\*\*([^\s*])\*\*(?!\*)/;

const strong = {
  name: "strongEastAsian",
  level: "inline",
  start: (text) => text.indexOf("**"),
  tokenizer(text) {
    const [raw, long, short] = STRONG.exec(text) ?? [];
    const inner = long ?? short;
    if (!inner || !EAST_ASIAN.test(inner)) return undefined;
    return { type: "strong", raw, text: inner, tokens: this.lexer.inlineTokens(inner) };
  },
};

const reference = {
  name: "footnoteReference",
  level: "inline",
  start: (text) => text.indexOf("[^"),
  tokenizer(text) {
    const [raw, name] = /^\[\^([^\]\s]{1,30})\](?!:)/.exec(text) ?? [];
    return raw && { type: "footnoteReference", raw, name };
  },
  renderer: ({ name }) => `<sup>${escaped(name)}</sup>`,
};

const footnote = {
  name: "footnote",
  level: "block",
  start: (text) => /^\[\^[^\]\s]{1,30}\]:/m.exec(text)?.index,
  tokenizer(text) {
    const [raw, name, note] = /^\[\^([^\]\s]{1,30})\]:[ \t]*([^\n]*)(?:\n|$)/.exec(text) ?? [];
    if (!raw) return undefined;
    return { type: "footnote", raw, name, tokens: this.lexer.inlineTokens(note) };
  },
  renderer({ name, tokens }) {
    return `<p><sup>${escaped(name)}</sup> ${this.parser.parseInline(tokens)}</p>`;
  },
};

/** For the Markdown parser. */
export const extensions = [strong, reference, footnote, ...formulas];

/** For the Markdown parser: in a formula, no sign is one of emphasis. */
export const hooks = {
  emStrongMask: (text) => replaceFormulas(text, (found) => "a".repeat(found.length)),
};
