/** The panel about the user: who they are here, what they can do with their data, the keyboard. */

import { request } from "./api.js";
import { $, announce, ask, attempt, element } from "./dom.js";
import { forget } from "./storage.js";
import { t } from "./words.js";

const MAC = /Mac|iP(?:hone|ad|od)/.test(navigator.platform);
const MAIN = MAC ? "⌘" : "Ctrl";
const KEYS = [
  ["key_send", "Enter"],
  ["key_line", "Shift + Enter"],
  ["key_stop", "Esc"],
  ["key_edit", "↑"],
  ["key_new", `${MAIN} + Shift + O`],
  ["key_search", `${MAIN} + K`],
  ["key_box", "Shift + Esc"],
  ["key_list", `${MAIN} + Shift + S`],
  ["key_help", "?"],
];

/** Show the panel. */
export function showYou() {
  $("you").showModal();
  $("close-you").focus();
}

$("keys").append(
  ...KEYS.flatMap(([name, keys]) => [
    element("dt", {}, element("kbd", {}, keys)),
    element("dd", {}, t(name)),
  ]),
);
$("close-you").addEventListener("click", () => $("you").close());
$("forget-me").addEventListener("click", async () => {
  const options = { detail: t("forget_me_detail"), action: t("forget_me"), style: "danger" };
  if (!(await ask(t("forget_me_question"), options))) return;
  await attempt($("you-trouble"), async () => {
    await request("DELETE", "api/me");
    forget();
    announce(t("forgotten"));
    location.assign(".");
  });
});
