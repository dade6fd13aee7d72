/** The page: the open conversation, and the buttons around it. */

import { edit } from "./actions.js";
import { request } from "./api.js";
import * as chats from "./chats.js";
import * as composer from "./composer.js";
import { Conversation } from "./conversation.js";
import { $, attempt, element, trouble } from "./dom.js";
import { listen } from "./keys.js";
import { prepare } from "./rendering.js";
import { openList, toggleList } from "./sidebar.js";
import { follow, toEnd } from "./scrolling.js";
import { t } from "./words.js";

const on = (target, event, action) => target.addEventListener(event, action);
const name = document.title; // defined only in index.html
const TITLES = [1000, 2000, 4000, 8000, 16_000, 32_000]; // milliseconds until the next look for one
const running = new Map(); // by id: conversations continue while another is open
let here; // the conversation that is open
let titles = false; // whether a title comes from the model, after the first answer

const idInUrl = () => new URLSearchParams(location.search).get("chat");

function open() {
  here = running.get(idInUrl()) ?? new Conversation(idInUrl(), changed);
  $("conversation").replaceChildren(here.list);
  composer.open(here.id);
  openList(false);
  toEnd();
  draw();
  composer.rest();
  if (!here.loaded) reload();
}

function reload() {
  const [conversation, place] = [here, element("li")];
  conversation.list.append(place);
  attempt(place, () => conversation.load()).then(draw);
}

function go(id) {
  history.pushState(null, "", id ? `?chat=${id}` : ".");
  open();
}

function changed(conversation) {
  const { id, run } = conversation;
  if (id && run) running.set(id, conversation);
  else running.delete(id);
  chats.setRunning(running);
  const named = conversation === here && id && id !== idInUrl();
  if (named) history.pushState(null, "", `?chat=${id}`);
  if (named || !run) chats.refresh().then(draw);
  if (titles && id && !run && conversation.asked.length === 1) lookForTitle(id, TITLES);
  draw();
}

/** Show the title of a chat once the model has made it. */
async function lookForTitle(id, [pause, ...later]) {
  const before = chats.titleOf(id);
  await new Promise((resolve) => setTimeout(resolve, pause));
  await chats.refresh();
  draw();
  const same = !before || chats.titleOf(id) === before;
  if (same && later.length) lookForTitle(id, later);
}

function draw() {
  const title = chats.titleOf(here.id) ?? t(here.id ? "conversation" : "new_conversation");
  $("title").textContent = title;
  document.title = `${title} · ${name}`;
  $("welcome").hidden = Boolean(here.id || here.list.children.length);
  $("conversation").setAttribute("aria-busy", Boolean(here.run));
  $("send").hidden = Boolean(here.run);
  $("stop").hidden = !here.run;
  $("download").hidden = $("print").hidden = !here.id;
  chats.setCurrent(here.id);
  composer.settle(here.id, here.loaded);
}

function send(text) {
  if (here.run || !here.loaded || !text.trim()) return;
  toEnd();
  here.send(text.trim());
  composer.clear();
}

// Not loaded before they are needed.
const transcript = () => import("./transcript.js");
const help = async () => (await import("./you.js")).showYou();
const showMemories = async () => (await import("./memory.js")).showMemories();
const stop = () => attempt($("trouble"), () => here.run?.stop()).then(composer.rest);

/** Look again after a while elsewhere: another page may have changed something. */
async function lookAgain() {
  if (document.hidden) return;
  const before = chats.find(here.id)?.updated_at;
  await chats.refresh();
  const after = chats.find(here.id)?.updated_at;
  const busy = here.run || here.list.querySelector(".offer, .editing, .old");
  if (before && after > before && !busy) reload();
}

async function meet() {
  const me = await (await request("GET", "api/me")).json();
  $("open-you").textContent = me.user;
  $("offline").hidden = !me.offline;
  titles = me.titles;
  for (const part of document.querySelectorAll(".remembers")) part.hidden = !me.long_term;
}

on(window, "popstate", open);
on(window, "focus", lookAgain);
on(window, "online", lookAgain);
on(document, "visibilitychange", lookAgain);
on(window, "unhandledrejection", () => {
  $("trouble").replaceChildren(trouble(t("broken"), t("reload"), () => location.reload()));
});
on(document.body, "click", (event) => {
  const link = event.target.closest("#sidebar a, #new-here");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(new URL(link.href).searchParams.get("chat"));
});
on($("stop"), "click", stop);
on($("welcome"), "click", ({ target }) => target.matches(".prompt") && send(target.textContent));
on($("download"), "click", () => attempt($("trouble"), async () => (await transcript()).save(here, $("title").textContent)));
on($("print"), "click", () => attempt($("trouble"), async () => (await transcript()).print(here)));
on($("open-you"), "click", help);
on($("open-memory"), "click", showMemories);
listen({
  help,
  search: () => openList(true, $("search")),
  begin: () => go(null),
  toggleList,
  escape: () => (document.body.classList.contains("list-open") ? openList(false) : here.run && stop()),
  edit: () => edit(here),
});
composer.onSend(send);
on($("composer"), "input", prepare);
follow($("conversation"));
chats.onChange((id) => (id === here.id && !chats.titleOf(id) ? go(null) : draw()));

open();
attempt($("trouble"), meet);
chats.refresh().then(draw);
