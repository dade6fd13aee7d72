/** The list of the user's conversations. */

import { getPage, request } from "./api.js";
import { $, ask, attempt, element, iconButton } from "./dom.js";

const DAY = 24 * 60 * 60 * 1000; // milliseconds
const chats = new Map(); // by id: all known conversations
const listed = new Set(); // the ids of the listed ones
const rows = new Map(); // by id: reused, so that a dialog can return the focus to a row's button
let current = null;
let changed = () => {};
let next = null;
let turn = 0;

/** Call `listener` with a conversation's id after it is renamed or deleted. */
export const onChange = (listener) => (changed = listener);

/** Return a conversation's title, if it is known. */
export const titleOf = (id) => chats.get(id)?.title;

/** Mark a conversation as open; null for a new one. */
export function setCurrent(id) {
  current = id;
  show();
}

/** Load the newest conversations, or the newest whose titles contain the search text. */
export function refresh() {
  const search = encodeURIComponent($("search").value.trim());
  return load(`api/chats?limit=30&search=${search}`);
}

const load = (path) =>
  attempt($("chats-trouble"), async () => {
    const mine = (turn += 1);
    const page = await getPage(path);
    if (mine !== turn) return; // the user has typed more
    if (!listed.size || path === next) next = page.next; // else this is the first page again
    for (const chat of page.items) {
      chats.set(chat.id, chat);
      listed.add(chat.id);
    }
    show();
    const none = $("search").value ? "No title has that in it." : "No conversations yet.";
    $("chats-status").textContent = listed.size ? "" : none;
  });

function show() {
  const focused = document.activeElement;
  const row = focused.closest("#chats li");
  const age = (chat) => -Date.parse(chat.updated_at);
  const newest = [...listed].map((id) => chats.get(id)).sort((a, b) => age(a) - age(b));
  const groups = Map.groupBy(newest, (chat) => dayOf(chat.updated_at));
  const lists = [...groups].flatMap(([name, members]) => [
    element("h2", {}, name),
    element("ul", {}, ...members.map(rowOf)),
  ]);
  $("chats").replaceChildren(...lists);
  $("more").hidden = !next;
  if (!row) return;
  const same = $("chats").querySelector(`[data-id="${row.dataset.id}"]`);
  (same?.children[[...row.children].indexOf(focused)] ?? $("new")).focus();
}

function dayOf(moment) {
  const days = (new Date().setHours(24, 0, 0, 0) - Date.parse(moment)) / DAY;
  return days < 1 ? "Today" : days < 2 ? "Yesterday" : days < 7 ? "This week" : "Earlier";
}

function rowOf({ id, title }) {
  const kept = rows.get(id);
  const row = kept?.firstChild.title === title ? kept : toRow(id, title);
  row.firstChild.setAttribute("aria-current", id === current ? "page" : "false");
  rows.set(id, row);
  return row;
}

function toRow(id, title) {
  return element(
    "li",
    { "data-id": id },
    element("a", { href: `?chat=${id}`, title }, title),
    iconButton("rename", `Rename “${title}”`, () => rename(id, title)),
    iconButton("delete", `Delete “${title}”`, () => remove(id, title)),
  );
}

async function rename(id, value) {
  const title = await ask("Rename this conversation", { action: "Save", value });
  if (title) await change(id, "PATCH", { title });
}

async function remove(id, title) {
  const detail = `“${title}” and its messages will be deleted permanently.`;
  const options = { detail, action: "Delete", style: "danger" };
  if (await ask("Delete this conversation?", options)) await change(id, "DELETE");
}

const change = (id, method, body) =>
  attempt($("chats-trouble"), async () => {
    const response = await request(method, `api/chats/${id}`, { body }).catch((failure) => {
      if (method !== "DELETE" || failure.status !== 404) throw failure; // else it is already gone
    });
    if (method === "DELETE") {
      chats.delete(id);
      listed.delete(id);
      rows.delete(id);
    } else {
      chats.set(id, await response.json());
    }
    changed(id);
    await refresh();
  });

$("more").addEventListener("click", () => load(next));
let pause = 0;
$("search").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => {
    listed.clear();
    refresh();
  }, 200);
});
