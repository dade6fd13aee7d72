/** The list of the user's conversations. */

import { getPage, request } from "./api.js";
import { $, ask, attempt, element, iconButton } from "./dom.js";
import { rove, settle } from "./roving.js";
import { begin, isUnread, see } from "./seen.js";
import { t } from "./words.js";

const DAY = 24 * 60 * 60 * 1000; // milliseconds
const AGAIN = 4000; // milliseconds between looks, while an answer is written elsewhere
const chats = new Map(); // by id: all known conversations
const listed = new Set(); // the ids of the listed ones
const rows = new Map(); // by id: reused, so that a dialog can return the focus to a row's button
let runs = new Map(); // by id: those that this page has answered
let current = null;
let changed = () => {};
let next = null;
let turn = 0;
let timer = 0;

/** Call `listener` with a conversation's id after it is renamed or deleted. */
export const onChange = (listener) => (changed = listener);

/** Return what is known of a conversation. */
export const find = (id) => chats.get(id);

/** Return a conversation's title, if it is known. */
export const titleOf = (id) => find(id)?.title;

/** Mark conversations as being answered. */
export const setRunning = (running) => (runs = running);

/** Mark a conversation as open; null for a new one. */
export function setCurrent(id) {
  current = id;
  show();
}

/** Load the newest conversations, or the newest that have the search text. */
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
    if (!$("search").value) begin(page.items);
    for (const chat of page.items) {
      chats.set(chat.id, chat);
      listed.add(chat.id);
    }
    show();
    clearTimeout(timer);
    if (page.items.some((chat) => chat.running && chat.id !== current)) {
      timer = setTimeout(() => document.hidden || refresh(), AGAIN);
    }
    const none = t($("search").value ? "none_found" : "none_yet");
    $("chats-status").textContent = listed.size ? "" : none;
  });

function show() {
  const focused = document.activeElement;
  const row = focused.closest("#chats li");
  if (chats.has(current) && !document.hidden) see(chats.get(current));
  const age = (chat) => -Date.parse(chat.updated_at);
  const newest = [...listed].map((id) => chats.get(id)).sort((a, b) => age(a) - age(b));
  const groups = Map.groupBy(newest, (chat) => dayOf(chat.updated_at));
  const lists = [...groups].flatMap(([name, members]) => [
    element("h2", {}, t(name)),
    element("ul", {}, ...members.map(rowOf)),
  ]);
  $("chats").replaceChildren(...lists);
  $("more").hidden = !next;
  const same = row && $("chats").querySelector(`[data-id="${row.dataset.id}"]`);
  if (row) (same?.children[[...row.children].indexOf(focused)] ?? $("new")).focus();
  else settle($("chats"));
}

function dayOf(moment) {
  const days = (new Date().setHours(24, 0, 0, 0) - Date.parse(moment)) / DAY;
  return days < 1 ? "today" : days < 2 ? "yesterday" : days < 7 ? "this_week" : "earlier";
}

function rowOf(chat) {
  const { id, title, excerpt = null } = chat;
  const running = chat.running || runs.has(id);
  const state = id === current ? "" : running ? "running" : isUnread(chat) ? "unread" : "";
  const key = JSON.stringify([title, state, excerpt]);
  const row = rows.get(id)?.key === key ? rows.get(id) : toRow(id, title, state, excerpt);
  row.firstChild.setAttribute("aria-current", id === current ? "page" : "false");
  rows.set(id, Object.assign(row, { key }));
  return row;
}

function toRow(id, title, state, excerpt) {
  const link = element("a", { href: `?chat=${id}`, title }, element("span", { dir: "auto" }, title));
  if (state) link.append(element("span", { class: `mark ${state}` }, element("span", { class: "unseen" }, t(state))));
  if (excerpt) link.append(element("span", { class: "excerpt", dir: "auto" }, excerpt));
  return element(
    "li",
    { "data-id": id },
    link,
    iconButton("rename", t("rename_it", { title }), () => rename(id, title)),
    iconButton("delete", t("delete_it", { title }), () => remove(id, title)),
  );
}

async function rename(id, value) {
  const title = await ask(t("rename_question"), { action: t("save"), value });
  if (title) await change(id, "PATCH", { title });
}

async function remove(id, title) {
  const detail = t("delete_detail", { title });
  const options = { detail, action: t("delete"), style: "danger" };
  if (await ask(t("delete_question"), options)) await change(id, "DELETE");
}

const change = (id, method, body) =>
  attempt($("chats-trouble"), async () => {
    const response = await request(method, `api/chats/${id}`, { body }).catch((failure) => {
      if (method !== "DELETE" || failure.status !== 404) throw failure; // else it is already gone
    });
    if (method === "DELETE") for (const all of [chats, listed, rows]) all.delete(id);
    else chats.set(id, { ...chats.get(id), ...(await response.json()) });
    changed(id);
    await refresh();
  });

rove($("chats"), "li");
$("more").addEventListener("click", () => load(next));
new IntersectionObserver(([entry]) => entry.isIntersecting && next && load(next)).observe($("more"));
let pause = 0;
$("search").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => {
    listed.clear();
    refresh();
  }, 200);
});
