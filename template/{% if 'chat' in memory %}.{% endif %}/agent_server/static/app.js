/** The page: which conversation is open, and what its buttons do. */

import { request } from "./api.js";
import * as chats from "./chats.js";
import { Conversation } from "./conversation.js";
import { $, element, trouble } from "./dom.js";
import { openMemory } from "./memory.js";

const me = {};
const running = new Map(); // by id: a conversation that is left goes on
let here; // the conversation that is open
let atEnd = true;

const idInUrl = () => new URLSearchParams(location.search).get("chat");
const touched = matchMedia("(pointer: coarse)");
const narrow = matchMedia("(max-width: 760px)");

/** Show the conversation that the URL names, or a new one. */
async function show() {
  const id = idInUrl();
  const known = running.get(id);
  here = known ?? new Conversation(id, me, changed);
  $("conversation").replaceChildren(here.list);
  atEnd = true;
  openList(false);
  draw();
  (touched.matches ? $("scroller") : $("message")).focus();
  if (id && !known) await load(here);
}

async function load(conversation) {
  try {
    await conversation.load();
  } catch (failure) {
    const again = () => (failure.status === 404 ? go(null) : load(conversation));
    const label = failure.status === 404 ? "New conversation" : "Retry";
    conversation.list.replaceChildren(element("li", {}, trouble(failure.message, label, again)));
  }
}

function go(id) {
  history.pushState(null, "", id ? `?chat=${id}` : ".");
  return show();
}

function changed(conversation) {
  const { id, run } = conversation;
  if (id && run) running.set(id, conversation);
  else running.delete(id);
  const named = conversation === here && id !== idInUrl();
  if (named) history.pushState(null, "", `?chat=${id}`);
  if (named || !run) chats.refresh().then(draw);
  draw();
}

function draw() {
  const title = chats.titleOf(here.id) ?? (here.id ? "Conversation" : "New conversation");
  $("title").textContent = title;
  document.title = here.id ? `${title} · Agent` : "Agent";
  $("welcome").hidden = Boolean(here.id || here.run);
  $("conversation").setAttribute("aria-busy", Boolean(here.run));
  $("send").hidden = Boolean(here.run);
  $("stop").hidden = !here.run;
  $("send").disabled = !$("message").value.trim();
  chats.setCurrent(here.id);
}

function send(text) {
  if (here.run || !text.trim()) return;
  atEnd = true;
  here.send(text.trim());
  $("message").value = "";
  fit();
}

/** Let the message box be as high as its text, which CSS alone can't do in every browser. */
function fit() {
  $("message").style.height = "auto";
  $("message").style.height = `${$("message").scrollHeight}px`;
  $("send").disabled = !$("message").value.trim();
}

function openList(open) {
  document.body.classList.toggle("list-open", open);
  $("open-list").setAttribute("aria-expanded", open);
  $("page").inert = open && narrow.matches;
  if (open) $("close-list").focus();
}

async function meet() {
  $("trouble").replaceChildren();
  try {
    Object.assign(me, await (await request("GET", "api/me")).json());
  } catch (failure) {
    $("trouble").replaceChildren(trouble(failure.message, "Retry", meet));
    return;
  }
  $("user").textContent = me.user;
  $("offline").hidden = !me.offline;
  for (const part of [$("open-memory"), ...document.querySelectorAll(".remembers")]) part.hidden = !me.long_term;
}

function switchTheme() {
  const { dataset } = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  dataset.theme = (dataset.theme || system) === "dark" ? "light" : "dark";
  localStorage.setItem("theme", dataset.theme);
}

chats.on.open = go;
chats.on.renamed = draw;
chats.on.deleted = (id) => id === here.id && go(null);
addEventListener("popstate", show);
addEventListener("unhandledrejection", () => {
  $("trouble").replaceChildren(trouble("Something on this page went wrong.", "Reload", () => location.reload()));
});
addEventListener("keydown", ({ key, target }) => key === "Escape" && !target.closest("dialog") && openList(false));
narrow.addEventListener("change", () => openList(false));
$("new").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(null);
});
$("open-list").addEventListener("click", () => openList(true));
$("close-list").addEventListener("click", () => openList(false));
$("open-memory").addEventListener("click", openMemory);
$("theme").addEventListener("click", switchTheme);
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send($("message").value);
});
$("message").addEventListener("input", fit);
$("message").addEventListener("keydown", (event) => {
  // While an input method composes a word, Enter chooses it; Safari says so by the code alone.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send($("message").value);
});
$("stop").addEventListener("click", () => here.stop());
for (const prompt of document.querySelectorAll(".prompt")) prompt.addEventListener("click", () => send(prompt.textContent));

const scroller = $("scroller");
scroller.addEventListener("scroll", () => {
  atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
});
new ResizeObserver(() => atEnd && scroller.scrollTo({ top: scroller.scrollHeight })).observe($("conversation"));

meet();
chats.refresh().then(draw);
show();
