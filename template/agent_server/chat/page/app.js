/** The page: the open conversation, and the buttons around it. */

import { request } from "./api.js";
import * as chats from "./chats.js";
import { Conversation } from "./conversation.js";
import { $, attempt, element, trouble } from "./dom.js";
import { edit } from "./editing.js";
import { listen } from "./keys.js";
import "./memory.js";
import { openList, toggleList } from "./sidebar.js";
import { follow, toEnd } from "./scrolling.js";
import { keep, kept } from "./storage.js";
import { print, save } from "./transcript.js";
import { t } from "./words.js";

const on = (target, event, action) => target.addEventListener(event, action);
const name = document.title; // defined only in index.html
const running = new Map(); // by id: conversations continue while another is open
const [box, scroller] = [$("message"), $("scroller")];
let here; // the conversation that is open

const idInUrl = () => new URLSearchParams(location.search).get("chat");
const draft = () => `draft ${here.id ?? "new"}`;

function open() {
  here = running.get(idInUrl()) ?? new Conversation(idInUrl(), changed);
  $("conversation").replaceChildren(here.list);
  box.value = kept(draft()) ?? "";
  openList(false);
  toEnd();
  draw();
  rest();
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
  const named = conversation === here && id && id !== idInUrl();
  if (named) history.pushState(null, "", `?chat=${id}`);
  if (named || !run) chats.refresh().then(draw);
  draw();
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
  fit();
}

function send(text) {
  if (here.run || !here.loaded || !text.trim()) return;
  keep(draft(), null);
  toEnd();
  here.send(text.trim());
  box.value = "";
  fit();
}

/** Make the message box as high as its text, which not every browser can do in CSS. */
function fit() {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
  $("send").disabled = !here.loaded || !box.value.trim();
}

/** Focus the message box, or the messages where the box would open an on-screen keyboard. */
function rest() {
  (matchMedia("(pointer: coarse)").matches ? scroller : box).focus();
}

const stop = () => attempt($("trouble"), () => here.run?.stop()).then(rest);

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
  $("user").textContent = $("open-you").textContent = me.user;
  $("offline").hidden = !me.offline;
  for (const part of document.querySelectorAll(".remembers")) part.hidden = !me.long_term;
}

on(window, "popstate", open);
on(window, "focus", lookAgain);
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
const submit = (event) => {
  event.preventDefault();
  send(box.value);
};
on($("composer"), "submit", submit);
on(box, "input", () => {
  keep(draft(), box.value);
  fit();
});
on(box, "keydown", (event) => {
  // While an input method composes a word, Enter accepts it; Safari shows it only by the key code.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  submit(event);
});
on($("stop"), "click", stop);
on($("welcome"), "click", ({ target }) => target.matches(".prompt") && send(target.textContent));
on($("download"), "click", () => attempt($("trouble"), () => save(here, $("title").textContent)));
on($("print"), "click", () => attempt($("trouble"), () => print(here)));
listen({
  search: () => openList(true, $("search")),
  begin: () => go(null),
  toggleList,
  escape: () => (document.body.classList.contains("list-open") ? openList(false) : here.run && stop()),
  edit: () => edit(here),
});
follow($("conversation"));
chats.onChange((id) => (id === here.id && !chats.titleOf(id) ? go(null) : draw()));

open();
attempt($("trouble"), meet);
chats.refresh().then(draw);
