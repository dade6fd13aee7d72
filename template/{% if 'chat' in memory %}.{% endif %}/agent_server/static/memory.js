/** The panel of what the agent remembers about the user. */

import { request } from "./api.js";
import { $, ask, element, trouble } from "./dom.js";

/** Open the panel with what is remembered now. */
export async function openMemory() {
  $("memories").replaceChildren();
  $("memory").showModal();
  await show();
}

async function show() {
  await attempt(async () => {
    const memories = await (await request("GET", "api/memories")).json();
    $("memories").replaceChildren(...memories.map(toRow));
    $("forget-all").hidden = !memories.length;
    $("memory-status").textContent = memories.length ? "" : "Nothing yet. Tell me something worth remembering.";
  });
}

function toRow({ memory_key: key, memory }) {
  const forget = () => remove(`api/memories/${encodeURIComponent(key)}`);
  const label = `Forget “${memory}”`;
  const button = { type: "button", class: "icon delete", "aria-label": label, click: forget };
  return element("li", {}, element("span", {}, memory), element("button", button));
}

async function forgetAll() {
  const detail = "Your conversations stay. What I remember about you beside them will be gone for good.";
  const answer = await ask("Forget everything?", { detail, action: "Forget all", danger: true });
  if (answer) await remove("api/memories");
}

const remove = (path) =>
  attempt(async () => {
    await request("DELETE", path);
    await show();
    $("close-memory").focus();
  });

async function attempt(action) {
  try {
    await action();
  } catch (failure) {
    $("memory-status").replaceChildren(trouble(failure.message, "Retry", () => attempt(action)));
  }
}

$("forget-all").addEventListener("click", forgetAll);
$("close-memory").addEventListener("click", () => $("memory").close());
