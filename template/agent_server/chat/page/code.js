/** Colours code where it stands: the text stays as it is, and can be selected and copied. */

const MOST = 20_000; // characters of one block
const WORDS = `as async await break case catch class const continue def default del do elif else
enum except export extends false finally fn for from func function if impl import in interface is
lambda let match mut new nil none not null or pass private pub public raise return self static struct
super switch this throw true try type undefined use var void where while with yield and begin by
create delete drop end group having insert into join limit on order select set table union update
values`.split(/\s+/);
const TOKENS = new RegExp(
  [
    String.raw`(?<comment>\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)|(?:^|(?<=\s))#[^\n]*|(?<=^|\s)--[^\n]*)`,
    String.raw`(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|${"`"}(?:\\.|[^${"`"}\\])*${"`"})`,
    String.raw`(?<number>\b\d[\d_.]*\b)`,
    String.raw`(?<word>\b(?:${WORDS.join("|")})\b)`,
  ].join("|"),
  "gi",
);
const PLAIN = /^(?:text|txt|plain|plaintext|markdown|md|console|output)?$/i;

let painted = 0;

/** Colour what is in `code`, if it is in a language and the browser can. */
export function paint(code, language) {
  const text = code.textContent;
  if (PLAIN.test(language) || text.length > MOST || !globalThis.CSS?.highlights) return;
  const node = code.firstChild;
  if (code.childNodes.length !== 1 || node.nodeType !== Node.TEXT_NODE) return;
  if ((painted += 1) % 50 === 0) sweep();
  for (const { index, 0: found, groups } of text.matchAll(TOKENS)) {
    const kind = Object.keys(groups).find((name) => groups[name]);
    const range = new StaticRange({
      startContainer: node, startOffset: index, endContainer: node, endOffset: index + found.length,
    });
    highlightOf(kind).add(range);
  }
}

/** Forget the colours of what is no longer shown. */
function sweep() {
  for (const highlight of CSS.highlights.values()) {
    for (const range of highlight) if (!range.startContainer.isConnected) highlight.delete(range);
  }
}

function highlightOf(kind) {
  if (!CSS.highlights.has(kind)) CSS.highlights.set(kind, new Highlight());
  return CSS.highlights.get(kind);
}
