/** The frames of code and tables: what scrolls on its own, its name, and how to take it along. */

import { copyText, element, saveFile } from "./dom.js";
import { t } from "./words.js";

const CLOSED = /\n[ \t]*(?:`{3,}|~{3,})\s*$/;

/** Frame a code block or a table, of which `token` is what the model wrote. */
export function frame(wide, token) {
  const box = element("div", { class: "wide" });
  wide.replaceWith(box);
  if (wide.localName === "pre") frameCode(box, wide, token);
  else frameTable(box, wide);
}

function frameCode(box, pre, token) {
  const language = token.type === "code" ? (token.lang ?? "").split(/\s/)[0].slice(0, 30) : "";
  const button = toButton(t("copy"), ({ target }) => copyText(target, pre.textContent));
  const head = element("div", { class: "head" }, element("span", {}, language), button);
  Object.assign(pre, { tabIndex: 0, role: "region", ariaLabel: language || t("code") });
  box.append(head, pre);
  // While it grows it is rendered again and again.
  if (!language || !CLOSED.test(token.raw)) return;
  import("./code.js").then(({ paint }) => paint(pre.firstElementChild ?? pre, language));
}

function frameTable(box, table) {
  const copy = toButton(t("copy_csv"), ({ target }) => copyText(target, toCsv(table)));
  const save = toButton(t("save_csv"), () => saveFile("table.csv", toCsv(table), "text/csv"));
  const scroll = { class: "scroll", tabindex: 0, role: "region", "aria-label": t("table") };
  box.append(element("div", scroll, table), element("div", { class: "foot-of" }, copy, save));
}

const toButton = (label, click) => element("button", { type: "button", class: "copy", click }, label);

/** Return a table as CSV (RFC 4180), in which no cell is a formula to a spreadsheet. */
function toCsv(table) {
  const toCell = ({ textContent: text }) => {
    const safe = /^[=+\-@\t]/.test(text) && !/^[-+]?[\d.,\s%]+$/.test(text) ? `'${text}` : text;
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [...table.rows].map((row) => [...row.cells].map(toCell).join(",")).join("\r\n") + "\r\n";
}
