/** The panel that shows what the agent remembers about the user. */

import { request } from "./api.js";
import { $, ask, attempt, element, iconButton } from "./dom.js";
import { t } from "./words.js";

const show = () =>
  attempt($("memory-trouble"), async () => {
    const memories = await (await request("GET", "api/memories")).json();
    $("memories").replaceChildren(...memories.map(toRow));
    $("forget-all").hidden = !memories.length;
    $("memory-status").textContent = memories.length ? "" : t("nothing_yet");
  });

function toRow({ memory_key: key, memory }) {
  const path = `api/memories/${encodeURIComponent(key)}`;
  const button = iconButton("delete", t("forget_it", { memory }), () => forget(path));
  return element("li", {}, element("span", { dir: "auto" }, memory), button);
}

const forget = (path) =>
  attempt($("memory-trouble"), async () => {
    await request("DELETE", path);
    $("close-memory").focus();
    await show();
  });

/** Show the panel. */
export function showMemories() {
  $("memory").showModal();
  show();
}

$("close-memory").addEventListener("click", () => $("memory").close());
$("forget-all").addEventListener("click", async () => {
  const options = { detail: t("forget_detail"), action: t("forget_all"), style: "danger" };
  if (await ask(t("forget_question"), options)) await forget("api/memories");
});
