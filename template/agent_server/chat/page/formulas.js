/** Finds the formulas in a text. They are shown as they were written until math.js has set them. */

const INNER = String.raw`[^\\$\n]|\n(?![ \t]*\n)`; // not a blank line: that would be two paragraphs
const WAYS = [
  String.raw`\$\$(?!\$)(?:\\[^]|${INNER}){1,4000}?\$\$`,
  String.raw`\\\[(?:\\(?![[\]])[^]|\$|${INNER}){1,4000}?\\\]`,
  String.raw`\\\((?:\\(?![()])[^]|\$|${INNER}){1,4000}?\\\)`,
  // One sign is often that of a currency: no space within, and no letter or digit around.
  String.raw`(?<![\w$\\])\$(?![\s$])(?:\\[^\n]|[^\\$\n${"`"}]){1,400}?(?<!\s)\$(?![\w$])`,
];
const FIRST = new RegExp(`^(?:${WAYS.join("|")})`);
const ALL = new RegExp(WAYS.join("|"), "g");
const BLOCK = new RegExp(String.raw`^ {0,3}(${WAYS[0]}|${WAYS[1]})[ \t]*(?:\n|$)`);
// One that is still being written: to the parser, what is in it would be Markdown.
const HALF = /^ {0,3}(?:\$\$(?!\$)|\\\[)[^\n]*(?:\n(?![ \t]*\n)[^\n]+)*\n?/;
const START = /^ {0,3}(?:\$\$|\\\[)/m;

// "$5, or 6$": a price, and words.
const isPrice = (found) => /^\$[\d.,]+[^\\^_=]*$/.test(found) && /\p{L}{2}/u.test(found);
/** Return a text as markup. */
export const escaped = (text) => text.replace(/[&<>]/g, (found) => `&#${found.charCodeAt(0)};`);

/** Replace each formula of a text by what `replacement` returns for it. */
export function replaceFormulas(text, replacement) {
  return text.replace(ALL, (found) => (isPrice(found) ? found : replacement(found)));
}

const formula = {
  name: "formula",
  level: "inline",
  start: (text) => text.indexOf("$"), // the others begin with a character that the parser looks at
  tokenizer(text, tokens) {
    const raw = FIRST.exec(text)?.[0];
    if (!raw || isPrice(raw)) return undefined;
    if (/^\$(?!\$)/.test(raw) && /[\w$]$/.test(tokens.at(-1)?.raw ?? "")) return undefined;
    return { type: "formula", raw };
  },
  renderer: ({ raw }) => `<var>${escaped(raw)}</var>`,
};

const displayed = {
  name: "displayedFormula",
  level: "block",
  start: (text) => (/\$\$|\\\[/.test(text) ? START.exec(text)?.index : undefined),
  tokenizer(text) {
    const [raw, source] = BLOCK.exec(text) ?? [];
    if (raw) return { type: "displayedFormula", raw, html: `<var>${escaped(source)}</var>` };
    const [half] = HALF.exec(text) ?? [];
    if (!half || FIRST.test(half.trimStart())) return undefined;
    return { type: "displayedFormula", raw: half, html: escaped(half) };
  },
  renderer: ({ html }) => `<p>${html}</p>`,
};

/** For the Markdown parser. */
export const extensions = [displayed, formula];

let math = null;

/** Set the formulas in a fragment: at once, if what does it is loaded. */
export async function typeset(fragment) {
  const found = fragment.querySelectorAll("var");
  if (!found.length) return;
  // Without it they stay as they were written; the next ones try again.
  math ??= await import("./math.js").catch(() => null);
  math?.typeset(found);
}
