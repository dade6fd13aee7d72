/** The list of the user's conversations. */

import { getPage, request } from "./api.js";
import { $, ask, element, trouble } from "./dom.js";

const DAY = 24 * 60 * 60 * 1000; // milliseconds
const chats = new Map();
let current = null;
let next = null;
let asked = 0;

/** Called with a conversation's id when it is chosen, renamed or deleted. */
export const on = { open: () => {}, renamed: () => {}, deleted: () => {} };

/** Return a conversation's title, as far as the list knows it. */
export const titleOf = (id) => chats.get(id)?.title;

/** Mark a conversation as the one that is open; null for a new one. */
export function setCurrent(id) {
  current = id;
  show();
}

/** Load the newest conversations, or those whose title has what is searched for. */
export async function refresh() {
  const search = $("search").value.trim();
  await load(`api/chats?limit=30${search && `&search=${encodeURIComponent(search)}`}`);
}

async function load(path) {
  const turn = (asked += 1);
  try {
    const page = await getPage(path);
    if (turn !== asked) return;
    for (const chat of page.items) chats.set(chat.id, chat);
    next = page.next;
    show();
  } catch (failure) {
    $("chats-status").replaceChildren(trouble(failure.message, "Retry", () => load(path)));
  }
}

function show() {
  const newest = [...chats.values()].sort((a, b) => Date.parse(b.updated_at) - Date.parse(a.updated_at));
  const groups = Map.groupBy(newest, (chat) => age(chat.updated_at));
  const lists = [...groups].flatMap(([name, members]) => [
    element("h2", {}, name),
    element("ul", {}, ...members.map(toRow)),
  ]);
  $("chats").replaceChildren(...lists);
  $("more").hidden = !next;
  const none = $("search").value ? "No conversation has that in its title." : "No conversations yet.";
  $("chats-status").textContent = newest.length ? "" : none;
}

function age(moment) {
  const days = (new Date().setHours(24, 0, 0, 0) - Date.parse(moment)) / DAY;
  return days < 1 ? "Today" : days < 2 ? "Yesterday" : days < 7 ? "This week" : "Earlier";
}

function toRow(chat) {
  const open = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    on.open(chat.id);
  };
  const here = chat.id === current ? "page" : null;
  const link = { href: `?chat=${chat.id}`, title: chat.title, "aria-current": here, click: open };
  return element(
    "li", {},
    element("a", link, chat.title),
    button("rename", `Rename “${chat.title}”`, () => rename(chat)),
    button("delete", `Delete “${chat.title}”`, () => remove(chat)),
  );
}

const button = (kind, label, click) =>
  element("button", { type: "button", class: `icon ${kind}`, "aria-label": label, click });

async function rename(chat) {
  const title = await ask("Rename this conversation", { action: "Save", value: chat.title });
  if (!title || title === chat.title) return;
  await attempt(async () => {
    const response = await request("PATCH", `api/chats/${chat.id}`, { body: { title } });
    chats.set(chat.id, await response.json());
    show();
    on.renamed();
  });
}

async function remove(chat) {
  const detail = `“${chat.title}” and its messages will be gone for good.`;
  if (!(await ask("Delete this conversation?", { detail, action: "Delete", danger: true }))) return;
  await attempt(async () => {
    await request("DELETE", `api/chats/${chat.id}`);
    chats.delete(chat.id);
    show();
    on.deleted(chat.id);
  });
}

async function attempt(action) {
  try {
    await action();
  } catch (failure) {
    $("chats-status").replaceChildren(trouble(failure.message, "Retry", () => attempt(action)));
  }
}

$("more").addEventListener("click", () => load(next));
let pause = 0;
$("search").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => {
    chats.clear();
    refresh();
  }, 200);
});
