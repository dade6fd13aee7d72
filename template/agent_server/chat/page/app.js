/** The page: the open conversation, and the buttons around it. */

import { request } from "./api.js";
import * as chats from "./chats.js";
import { Conversation } from "./conversation.js";
import { $, attempt, element, trouble } from "./dom.js";
import "./memory.js";

const name = document.title; // defined only in index.html
const me = {}; // the response of `api/me`, once it has come
let meIsKnown;
const known = new Promise((resolve) => (meIsKnown = resolve));
const running = new Map(); // by id: conversations continue while another is open
const [box, scroller] = [$("message"), $("scroller")];
const narrow = matchMedia("(max-width: 760px)");
$("brand").textContent = name;
let here; // the conversation that is open
let atEnd = true;

const idInUrl = () => new URLSearchParams(location.search).get("chat");

function open() {
  const left = running.get(idInUrl());
  here = left ?? new Conversation(idInUrl(), me, known, changed);
  $("conversation").replaceChildren(here.list);
  atEnd = true;
  openList(false);
  draw();
  rest();
  if (!here.loaded) {
    const [conversation, place] = [here, element("li")];
    here.list.append(place);
    attempt(place, () => conversation.load()).then(fit);
  }
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
  const title = chats.titleOf(here.id) ?? (here.id ? "Conversation" : "New conversation");
  $("title").textContent = title;
  document.title = `${title} · ${name}`;
  $("welcome").hidden = Boolean(here.id || here.list.children.length);
  $("conversation").setAttribute("aria-busy", Boolean(here.run));
  $("send").hidden = Boolean(here.run);
  $("stop").hidden = !here.run;
  chats.setCurrent(here.id);
  fit();
}

function send(text) {
  if (here.run || !here.loaded || !text.trim()) return;
  atEnd = true;
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

function openList(open) {
  document.body.classList.toggle("list-open", open);
  $("open-list").setAttribute("aria-expanded", open);
  $("page").inert = open && narrow.matches;
  if (open) $("close-list").focus();
}

async function meet() {
  Object.assign(me, await (await request("GET", "api/me")).json());
  meIsKnown();
  $("user").textContent = me.user;
  $("offline").hidden = !me.offline;
  for (const part of document.querySelectorAll(".remembers")) part.hidden = !me.long_term;
}

function switchTheme() {
  const { dataset } = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  dataset.theme = (dataset.theme || system) === "dark" ? "light" : "dark";
  localStorage.setItem("theme", dataset.theme);
}

const on = (target, event, action) => target.addEventListener(event, action);

on(window, "popstate", open);
on(window, "unhandledrejection", () => {
  const sentence = "Something on this page went wrong.";
  $("trouble").replaceChildren(trouble(sentence, "Reload", () => location.reload()));
});
on(window, "keydown", ({ key, target }) => {
  if (key === "Escape" && !target.closest("dialog")) openList(false);
});
on(narrow, "change", () => openList(false));
on($("sidebar"), "click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(new URL(link.href).searchParams.get("chat"));
});
on($("open-list"), "click", () => openList(true));
on($("close-list"), "click", () => openList(false));
on($("theme"), "click", switchTheme);
on($("composer"), "submit", (event) => {
  event.preventDefault();
  send(box.value);
});
on(box, "input", fit);
on(box, "keydown", (event) => {
  // While an input method composes a word, Enter accepts it; Safari shows it only by the key code.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send(box.value);
});
on($("stop"), "click", () => attempt($("trouble"), () => here.run?.stop()).then(rest));
on($("welcome"), "click", ({ target }) => target.matches(".prompt") && send(target.textContent));
on(scroller, "scroll", () => {
  atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
});
const keepAtEnd = () => atEnd && scroller.scrollTo(0, scroller.scrollHeight);
new ResizeObserver(keepAtEnd).observe($("conversation"));
chats.onChange((id) => (id === here.id && !chats.titleOf(id) ? go(null) : draw()));

open();
attempt($("trouble"), meet);
chats.refresh().then(draw);
