/** The panel that shows what the agent remembers about the user. */

import { request } from "./api.js";
import { $, ask, attempt, element, iconButton } from "./dom.js";

const show = () =>
  attempt($("memory-trouble"), async () => {
    const memories = await (await request("GET", "api/memories")).json();
    $("memories").replaceChildren(...memories.map(toRow));
    $("forget-all").hidden = !memories.length;
    $("memory-status").textContent = memories.length ? "" : "Nothing yet.";
  });

function toRow({ memory_key: key, memory }) {
  const path = `api/memories/${encodeURIComponent(key)}`;
  const button = iconButton("delete", `Forget “${memory}”`, () => forget(path));
  return element("li", {}, element("span", {}, memory), button);
}

const forget = (path) =>
  attempt($("memory-trouble"), async () => {
    await request("DELETE", path);
    $("close-memory").focus();
    await show();
  });

$("open-memory").addEventListener("click", () => {
  $("memory").showModal();
  show();
});
$("close-memory").addEventListener("click", () => $("memory").close());
$("forget-all").addEventListener("click", async () => {
  const detail = "What I remember about you will be deleted permanently. Your conversations stay.";
  const options = { detail, action: "Forget all", style: "danger" };
  if (await ask("Forget everything about you?", options)) await forget("api/memories");
});
